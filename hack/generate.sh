#!/usr/bin/env bash
# hack/generate.sh [TREE] writes every generated file of the repository, or of the copy of it at TREE:
#   api/v1alpha1/zz_generated.deepcopy.go   from the types
#   config/crd/bases/*.yaml                 from the types and their markers
#   config/rbac/role.yaml                   from the +kubebuilder:rbac markers beside the code that needs the right
#   docs/api.md                             from the types' comments
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

controller_gen=$("$ROOT/hack/tool.sh" controller-gen)
crd_ref_docs=$("$ROOT/hack/tool.sh" crd-ref-docs)
cd "${1:-$ROOT}"

"$controller_gen" object:headerFile=hack/boilerplate.go.txt paths=./api/...
rm -f config/crd/bases/*.yaml # or the file of a kind that was renamed would stay
"$controller_gen" crd paths=./api/... output:crd:artifacts:config=config/crd/bases
"$controller_gen" rbac:roleName=dockercontrol-manager paths=./... output:rbac:artifacts:config=config/rbac
"$crd_ref_docs" --log-level=ERROR --config=hack/api-reference.yaml --source-path=api/v1alpha1 \
    --renderer=markdown --output-path=docs/api.md
# Markers without a value come out as "Required: {}".
sed -i -e 's/\(Required\|Optional\): \\{\\}/\1/g' docs/api.md

# The manager's image. It is built from scratch out of bin/manager, a static program that "make build"
# makes beforehand: nothing is pulled, so it builds offline and holds no distribution to patch.
#   make build && docker build --tag dockercontrol/manager .
FROM scratch
COPY bin/manager /manager
# The number that distroless images call "nonroot"; a number, so that runAsNonRoot can be checked.
USER 65532:65532
EXPOSE 8443 8444 8081
ENTRYPOINT ["/manager"]

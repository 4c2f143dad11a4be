# The image of standalone: control plane and manager in one process. Built from scratch out of
# bin/standalone, which "make build" makes beforehand: nothing is pulled, so it builds offline.
#   make build && docker build --file deploy/standalone.Dockerfile --tag dockercontrol/standalone .
FROM scratch
COPY bin/standalone /standalone
# Creates /data and /tmp, as an image from scratch has no folders and no shell to make them with.
WORKDIR /tmp
WORKDIR /data
# Root, as the engine's socket beside it belongs to root; compose.yaml takes every capability away.
USER 0:0
VOLUME /data
EXPOSE 6443 8443
# The flags stand in the command, so that others can be given without repeating these.
ENTRYPOINT ["/standalone", "--data-dir=/data", "--api-address=0.0.0.0:6443", "--proxy-address=0.0.0.0:8443"]

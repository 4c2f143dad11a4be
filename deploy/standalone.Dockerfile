# The image of standalone: control plane and manager in one process. Built from scratch out of
# bin/standalone, which "make build" makes beforehand: nothing is pulled, so it builds offline.
#   make build && docker build --file deploy/standalone.Dockerfile --tag dockercontrol/standalone .
FROM scratch
COPY bin/standalone /standalone
# Makes /data: an image from scratch has no folders, and no shell to make them with.
WORKDIR /data
# Root, as the engine's socket beside it belongs to root; compose.yaml takes every capability away.
USER 0:0
VOLUME /data
EXPOSE 6443 8443
# In a container every address is the container's own: what the outside reaches is what is published.
# They are in the entry point, so that further flags can be given without repeating these.
ENTRYPOINT ["/standalone", "--data-dir=/data", "--log-file=-", "--allow-remote", \
    "--api-address=0.0.0.0:6443", "--proxy-address=0.0.0.0:8443"]

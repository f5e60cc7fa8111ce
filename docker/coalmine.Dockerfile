# coalmine itself: a build stage with the compilers, then Debian with the two programs.
#   docker build -f docker/coalmine.Dockerfile -t coalmine .
FROM debian:12-slim AS build
WORKDIR /src
COPY . .
RUN ./dev build && strip build/bin/coalmine build/bin/sample-app

FROM debian:12-slim
# The libraries that the programs are linked with; certificates for --target aws; curl for the
# health checks of containers.
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
      ca-certificates curl libcpp-httplib0.11 libfmt9 libssl3 libyaml-cpp0.7 zlib1g \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home coalmine
COPY --from=build /src/build/bin/coalmine /src/build/bin/sample-app /usr/local/bin/
COPY scenarios /usr/local/share/coalmine/scenarios
USER coalmine
WORKDIR /usr/local/share/coalmine
# In a container loopback is the container's own, so the ports to publish listen on all addresses.
EXPOSE 4566 9080
ENTRYPOINT ["coalmine"]
CMD ["up", "--host", "0.0.0.0"]

# coalmine itself: build stage with the compilers, final stage with the two programs.
#   docker build -f docker/coalmine.Dockerfile -t coalmine .
FROM debian:12-slim AS build
WORKDIR /src
COPY . .
RUN ./dev build

FROM debian:12-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
      ca-certificates curl libcpp-httplib0.11 libfmt9 libssl3 libyaml-cpp0.7 zlib1g \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/build/bin/coalmine /src/build/bin/sample-app /usr/local/bin/
COPY scenarios /usr/local/share/coalmine/scenarios
WORKDIR /usr/local/share/coalmine
# In a container loopback is the container's own, so the ports to publish listen on all addresses.
EXPOSE 4566 9080
ENTRYPOINT ["coalmine"]
CMD ["up", "--host", "0.0.0.0"]

# The service under canary, as v1 or v2: the same program, told which version it is.
#   docker build -f docker/sample-app.Dockerfile --build-arg VERSION=v2 -t sample-app:v2 .
FROM debian:12-slim AS build
WORKDIR /src
COPY . .
RUN ./dev build sample-app && strip build/bin/sample-app

FROM debian:12-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends curl libcpp-httplib0.11 libfmt9 libssl3 zlib1g \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/build/bin/sample-app /usr/local/bin/
ARG VERSION=v1
ENV VERSION=${VERSION} HOST=0.0.0.0 PORT=9000
EXPOSE 9000
HEALTHCHECK --interval=5s --timeout=2s CMD curl -fs http://127.0.0.1:9000/healthcheck
USER nobody
ENTRYPOINT ["sample-app"]

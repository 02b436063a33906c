# An image that serves S3 on port 9000 and health and metrics on port 9001, with its data in /data.
#
#   docker build --tag post3tw .
#   docker run --publish 9000:9000 --publish 127.0.0.1:9001:9001 --volume post3:/data \
#       --env POST3_ACCESS_KEY=… --env POST3_SECRET_KEY=… post3tw
#
# With everything in PostgreSQL: no volume, and --env POST3_BACKEND=postgres --env DATABASE_URL=postgresql://…
FROM python:3.12-slim AS build
WORKDIR /source
COPY . .
RUN python -m venv /opt/post3 \
 && /opt/post3/bin/pip install --no-cache-dir --constraint constraints.txt '.[postgres]'

FROM python:3.12-slim
COPY --from=build /opt/post3 /opt/post3
# The user can write nothing but /data, so twistd's list of plugins is written now.
RUN /opt/post3/bin/python -c "from twisted.plugin import IPlugin, getPlugins; list(getPlugins(IPlugin))" \
 && useradd --system --uid 9000 --home-dir /data --shell /usr/sbin/nologin post3 \
 && install --directory --owner post3 --group post3 --mode 0700 /data
ENV PATH=/opt/post3/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    POST3_DATA_DIR=/data \
    POST3_LISTEN=tcp:9000 \
    POST3_ADMIN=tcp:9001
USER post3
WORKDIR /data
VOLUME /data
EXPOSE 9000 9001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:9001/health/ready', timeout=2)"]
# A container that makes up its own key hides it from whoever starts it: say which.
ENTRYPOINT ["/bin/sh", "-c", "\
: \"${POST3_ACCESS_KEY:?set POST3_ACCESS_KEY and POST3_SECRET_KEY}\" \"${POST3_SECRET_KEY:?set POST3_ACCESS_KEY and POST3_SECRET_KEY}\"; \
exec twistd --nodaemon --pidfile= post3 \"$@\"", "post3"]

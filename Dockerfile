# An image for the machines of a cluster, docs/how-to/cluster.md: Java, Python, the packages of requirements/ and this project.
FROM debian:trixie-slim
RUN apt-get update && \
    apt-get install -y --no-install-recommends default-jre-headless python3-venv tini && \
    rm -rf /var/lib/apt/lists/* && \
    useradd --system --uid 185 --create-home spark && \
    python3 -m venv /opt/clip
ENV PATH=/opt/clip/bin:$PATH SPARK_HOME=/opt/clip/spark PYSPARK_PYTHON=/opt/clip/bin/python \
    LANG=C.UTF-8

COPY requirements /build/requirements
RUN pip install --no-cache-dir --require-hashes -r /build/requirements/build.txt && \
    pip install --no-cache-dir --require-hashes -r /build/requirements/remote.txt --no-build-isolation --use-pep517 && \
    ln -s /opt/clip/lib/python3*/site-packages/pyspark /opt/clip/spark

COPY . /build
RUN pip install --no-cache-dir --no-deps --no-build-isolation /build && \
    cp -r /build/jobs /opt/clip/jobs && \
    rm -r /build

# Kubernetes asks for "executor"; any other command is run as it is: a driver's spark-submit, a shell.
COPY --chmod=755 <<'EOF' /opt/clip/bin/entrypoint
#!/bin/bash
[ "$1" = executor ] || exec tini -s -- "$@"
options=()
for name in "${!SPARK_JAVA_OPT_@}"; do
    options+=("${!name}")
done
exec tini -s -- java "${options[@]}" "-Xms$SPARK_EXECUTOR_MEMORY" "-Xmx$SPARK_EXECUTOR_MEMORY" \
    -cp "${SPARK_CONF_DIR:-$SPARK_HOME/conf}:$SPARK_HOME/jars/*:$PWD" \
    org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend \
    --driver-url "$SPARK_DRIVER_URL" --executor-id "$SPARK_EXECUTOR_ID" --cores "$SPARK_EXECUTOR_CORES" \
    --app-id "$SPARK_APPLICATION_ID" --hostname "$SPARK_EXECUTOR_POD_IP" \
    --resourceProfileId "$SPARK_RESOURCE_PROFILE_ID" --podName "$SPARK_EXECUTOR_POD_NAME"
EOF

USER 185
WORKDIR /tmp
ENTRYPOINT ["/opt/clip/bin/entrypoint"]

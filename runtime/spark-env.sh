# Spark's scripts source this before they start a JVM: it is ready sooner, and says nothing about itself.
# `.ci/setup` copies it into the conf/ of .venv's Spark; `session` names this folder where nobody configured Spark.
set +a # Spark exports what it sources; the function below is for this script alone

# Of two of Spark's options Java warns on each start: a module that only MLlib's fastest loops use, and a package that
# Java 24 has no more.
exec() {
    local kept=() each
    for each; do
        case $each in
        --add-modules=jdk.incubator.vector) ;;
        --add-opens=java.base/sun.security.action=*) is_java_24 "$1" || kept+=("$each") ;;
        *) kept+=("$each") ;;
        esac
    done
    builtin exec "${kept[@]}"
}

is_java_24() { # or later
    local file
    file=$(readlink -f "$1") && file=${file%/bin/java}/release
    [[ -f $file && $(<"$file") =~ JAVA_VERSION=\"([0-9]+) ]] && ((BASH_REMATCH[1] >= 24))
}

# Java's best compiler costs a job of some seconds a third of its processor time: code must run ten times as often.
quick="-XX:Tier4InvocationThreshold=50000 -XX:Tier4MinInvocationThreshold=6000"
quick+=" -XX:Tier4CompileThreshold=150000 -XX:Tier4BackEdgeThreshold=400000"

if [[ ${1:-} == org.apache.spark.deploy.SparkSubmit ]]; then
    if [[ ${SPARK_SUBMIT_OPTS:-} != *log4j* ]]; then
        quick+=" -Dlog4j2.configurationFile=file://${BASH_SOURCE[0]%/*}/log4j2.properties"
    fi
    export SPARK_SUBMIT_OPTS="$quick ${SPARK_SUBMIT_OPTS:-}"
fi

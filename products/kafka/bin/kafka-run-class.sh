#!/bin/sh
# kafka-run-class.sh CLASS [ARGUMENT...]: runs a class of Kafka. JAVA_OPTS are options of its JVM.
set -eu
# shellcheck disable=SC2086  # JAVA_OPTS holds several options
exec java ${JAVA_OPTS:-} -Dlog4j2.configurationFile="$KAFKA_HOME/config/${KAFKA_LOG4J:-tools-log4j2.yaml}" \
    -cp "$KAFKA_HOME/libs/*" "$@"

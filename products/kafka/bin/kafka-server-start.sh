#!/bin/sh
# kafka-server-start.sh PROPERTIES [--override PROPERTY=VALUE]...: starts a node whose storage is formatted.
set -eu
export KAFKA_LOG4J="${KAFKA_LOG4J:-log4j2.yaml}"
exec kafka-run-class.sh kafka.Kafka "$@"

#!/bin/sh
# Starts one node. The nodes share one configuration; what differs follows from the number at the end of the pod's name.
set -eu

conf=/etc/kafka-cluster
bin=${KAFKA_HOME:-/opt/kafka}/bin
properties=/tmp/server.properties
id=${POD_NAME##*-}

if [ "$id" -lt "$(cat "$conf/controllers")" ]; then
    roles=broker,controller
    listeners=PLAINTEXT://:9092,CONTROLLER://:9093
else
    roles=broker
    listeners=PLAINTEXT://:9092
fi

{
    cat "$conf/server.properties"
    echo "node.id=$id"
    echo "process.roles=$roles"
    echo "listeners=$listeners"
    echo "advertised.listeners=PLAINTEXT://$POD_NAME.$NODE_DOMAIN:9092"
} > "$properties"

# With "=", because an id may begin with a minus sign.
"$bin/kafka-storage.sh" format --ignore-formatted --config "$properties" --cluster-id="$(cat "$conf/cluster-id")"
exec "$bin/kafka-server-start.sh" "$properties"

#!/bin/sh
# zkServer.sh start-foreground|status|version: the names that ZooKeeper's own distribution has for them.
set -eu
case ${1:-start-foreground} in
    start-foreground) exec zookeeper ;;
    status) exec zookeeper-java org.apache.zookeeper.client.FourLetterWordMain localhost 2181 srvr ;;
    version) exec zookeeper-java org.apache.zookeeper.version.VersionInfoMain ;;
    *)
        echo "usage: zkServer.sh start-foreground|status|version" >&2
        exit 64
        ;;
esac

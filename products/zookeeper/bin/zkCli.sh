#!/bin/sh
# zkCli.sh [-server HOST:PORT] [COMMAND [ARGUMENT...]]: ZooKeeper's client; without a command it asks for some.
exec zookeeper-java org.apache.zookeeper.ZooKeeperMain "$@"

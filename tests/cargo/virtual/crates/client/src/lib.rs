// Talks to the cluster.

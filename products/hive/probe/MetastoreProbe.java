import java.util.List;
import java.util.Map;
import org.apache.hadoop.hive.metastore.api.Database;
import org.apache.hadoop.hive.metastore.api.ThriftHiveMetastore;
import org.apache.thrift.protocol.TBinaryProtocol;
import org.apache.thrift.transport.TSocket;
import org.apache.thrift.transport.TTransportException;

/**
 * Uses a metastore as a client does: lists its databases and, with "write", creates one, finds it and drops it.
 * Usage: MetastoreProbe HOST PORT WAIT TIMEOUT [write]: WAIT seconds for the port, TIMEOUT seconds for each answer.
 */
public final class MetastoreProbe {
    public static void main(String[] arguments) throws Exception {
        String host = arguments[0];
        int port = Integer.parseInt(arguments[1]);
        long deadline = System.nanoTime() + Long.parseLong(arguments[2]) * 1_000_000_000L;
        int timeout = Integer.parseInt(arguments[3]) * 1_000;
        try (TSocket socket = connect(host, port, deadline, timeout)) {
            var metastore = new ThriftHiveMetastore.Client(new TBinaryProtocol(socket));
            if (arguments.length > 4) {
                write(metastore);
            }
            System.out.println("databases: " + metastore.get_all_databases());
        }
    }

    private static TSocket connect(String host, int port, long deadline, int timeout) throws Exception {
        while (true) {
            var socket = new TSocket(host, port, timeout);
            try {
                socket.open();
                return socket;
            } catch (TTransportException refused) {
                socket.close();
                if (System.nanoTime() > deadline) {
                    throw refused;
                }
                Thread.sleep(200);
            }
        }
    }

    private static void write(ThriftHiveMetastore.Client metastore) throws Exception {
        String name = "probe_" + Long.toHexString(System.nanoTime());
        metastore.create_database(new Database(name, "made by the smoke test", null, Map.of()));
        List<String> found = metastore.get_all_databases();
        if (!found.contains(name)) {
            throw new AssertionError("created " + name + ", but the metastore lists " + found);
        }
        System.out.println("created and listed: " + name);
        metastore.drop_database(name, true, false);
    }

    private MetastoreProbe() {}
}

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.List;
import org.apache.hadoop.hbase.HBaseConfiguration;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.client.ColumnFamilyDescriptorBuilder;
import org.apache.hadoop.hbase.client.Connection;
import org.apache.hadoop.hbase.client.ConnectionFactory;
import org.apache.hadoop.hbase.client.Get;
import org.apache.hadoop.hbase.client.Put;
import org.apache.hadoop.hbase.client.Scan;
import org.apache.hadoop.hbase.client.Table;
import org.apache.hadoop.hbase.client.TableDescriptorBuilder;
import org.apache.hadoop.hbase.io.compress.Compression;
import org.apache.hadoop.hbase.util.Bytes;

/**
 * Uses HBase as a client does.
 * "read" reads the catalogue; "write" makes a table with compressed families, reads it back from its files and drops
 * it; "master" and "regionserver" ask the server of that name in this container.
 */
public final class HBaseProbe {
    private static final List<String> CODECS = List.of("none", "snappy", "zstd");
    private static final byte[] COLUMN = Bytes.toBytes("c");
    private static final int ROWS = 200;

    public static void main(String[] arguments) throws Exception {
        String what = arguments.length > 0 ? arguments[0] : "read";
        switch (what) {
            case "read", "write" -> {
                try (Connection hbase = ConnectionFactory.createConnection(HBaseConfiguration.create())) {
                    if (what.equals("write")) {
                        write(hbase);
                    }
                    read(hbase);
                }
            }
            case "master" -> ask(what, "hbase.master.info.port", 16010);
            case "regionserver" -> ask(what, "hbase.regionserver.info.port", 16030);
            default -> throw new IllegalArgumentException("read, write, master or regionserver, not " + what);
        }
    }

    private static void read(Connection hbase) throws Exception {
        try (var catalogue = hbase.getTable(TableName.META_TABLE_NAME);
                var rows = catalogue.getScanner(new Scan().setLimit(1))) {
            if (rows.next() == null) {
                throw new AssertionError("the catalogue is empty");
            }
        }
        System.out.println("the catalogue can be read");
    }

    private static void write(Connection hbase) throws Exception {
        TableName name = TableName.valueOf("probe_" + Long.toHexString(System.nanoTime()));
        var description = TableDescriptorBuilder.newBuilder(name);
        for (String codec : CODECS) {
            description.setColumnFamily(ColumnFamilyDescriptorBuilder.newBuilder(Bytes.toBytes(codec))
                    .setCompressionType(Compression.getCompressionAlgorithmByName(codec))
                    .build());
        }
        try (var admin = hbase.getAdmin()) {
            admin.createTable(description.build());
            try (Table table = hbase.getTable(name)) {
                for (int row = 0; row < ROWS; row++) {
                    var put = new Put(Bytes.toBytes(row));
                    for (String codec : CODECS) {
                        put.addColumn(Bytes.toBytes(codec), COLUMN, value(codec, row));
                    }
                    table.put(put);
                }
                // What is still in memory has not met a codec.
                admin.flush(name);
                check(table);
            }
            admin.disableTable(name);
            admin.deleteTable(name);
        }
        System.out.println("read back from files: " + String.join(", ", CODECS));
    }

    private static void check(Table table) throws Exception {
        for (String codec : CODECS) {
            byte[] family = Bytes.toBytes(codec);
            byte[] found = table.get(new Get(Bytes.toBytes(7)).addFamily(family)).getValue(family, COLUMN);
            expect(value(codec, 7), found, codec);
            int row = 0;
            try (var results = table.getScanner(new Scan().addFamily(family))) {
                for (var result : results) {
                    expect(value(codec, row++), result.getValue(family, COLUMN), codec);
                }
            }
            if (row != ROWS) {
                throw new AssertionError(row + " rows of " + ROWS + " in family " + codec);
            }
        }
    }

    private static byte[] value(String codec, int row) {
        return Bytes.toBytes((codec + " " + row + " ").repeat(40));
    }

    private static void expect(byte[] wanted, byte[] found, String codec) {
        if (!Bytes.equals(wanted, found)) {
            throw new AssertionError("family " + codec + " has " + Bytes.toStringBinary(found));
        }
    }

    private static void ask(String server, String setting, int usual) throws Exception {
        int port = HBaseConfiguration.create().getInt(setting, usual);
        var page = URI.create("http://localhost:" + port + "/jmx?qry=java.lang:type=Runtime");
        var question = HttpRequest.newBuilder(page).build();
        var answer = HttpClient.newHttpClient().send(question, HttpResponse.BodyHandlers.ofString());
        if (answer.statusCode() != 200) {
            throw new AssertionError(server + " answers " + answer.statusCode() + ": " + answer.body());
        }
        System.out.println(server + " answers");
    }

    private HBaseProbe() {}
}

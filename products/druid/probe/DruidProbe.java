import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Uses Druid as a client does. Ports as arguments: asks the services there whether they are well. "write": ingests rows
 * through the router, waits until they are served, and asks for them in SQL.
 */
public final class DruidProbe {
    private static final HttpClient CLIENT = HttpClient.newHttpClient();
    private static final String ROUTER = System.getenv().getOrDefault("DRUID_PROBE", "http://localhost:8888");
    private static final String TASK = """
            {"type": "index_parallel", "spec": {
              "dataSchema": {"dataSource": "%s",
                "timestampSpec": {"column": "time", "format": "iso"},
                "dimensionsSpec": {"dimensions": ["name", {"type": "long", "name": "amount"}]},
                "granularitySpec": {"segmentGranularity": "day", "rollup": false}},
              "ioConfig": {"type": "index_parallel", "inputFormat": {"type": "json"},
                "inputSource": {"type": "inline", "data": "%s"}},
              "tuningConfig": {"type": "index_parallel", "maxNumConcurrentSubTasks": 1}}}
            """;

    public static void main(String[] arguments) throws Exception {
        if (arguments.length == 1 && arguments[0].equals("write")) {
            write();
            return;
        }
        for (String port : arguments) {
            String answer = ask("http://localhost:" + port + "/status/health", null);
            if (!answer.strip().equals("true")) {
                throw new AssertionError("the service on port " + port + " says " + answer);
            }
            System.out.println(port + " is well");
        }
    }

    private static void write() throws Exception {
        String source = "probe_" + Long.toHexString(System.nanoTime());
        var rows = new StringBuilder();
        for (int amount : new int[] {12, 14, 16}) {
            rows.append("{\\\"time\\\": \\\"2020-01-01T00:00:00Z\\\", \\\"name\\\": \\\"n")
                    .append(amount).append("\\\", \\\"amount\\\": ").append(amount).append("}\\n");
        }
        String tasks = ROUTER + "/druid/indexer/v1/task";
        String task = find("\"task\":\"([^\"]+)\"", ask(tasks, TASK.formatted(source, rows)));
        System.out.println("task " + task);
        String status;
        do {
            Thread.sleep(1_000);
            status = find("\"statusCode\":\"(\\w+)\"", ask(tasks + "/" + task + "/status", null));
        } while (status.equals("RUNNING"));
        if (!status.equals("SUCCESS")) {
            throw new AssertionError("task " + task + " ended with " + status);
        }
        System.out.println("ingested");
        String question = "{\"query\": \"SELECT COUNT(*) AS n, SUM(amount) AS s FROM " + source + "\"}";
        String answer = "";
        // The broker does not know the table until the historical server has loaded it.
        for (int attempt = 0; attempt < 600; attempt++) {
            try {
                answer = ask(ROUTER + "/druid/v2/sql", question);
                if (answer.contains("\"n\":3")) {
                    break;
                }
            } catch (IllegalStateException unknown) {
                answer = unknown.getMessage();
            }
            Thread.sleep(1_000);
        }
        System.out.println("rows by SQL: " + find("\"n\":(\\d+)", answer)
                + ", their sum: " + find("\"s\":(\\d+)", answer));
    }

    private static String ask(String address, String body) throws Exception {
        var question = HttpRequest.newBuilder(URI.create(address)).header("Content-Type", "application/json");
        if (body != null) {
            question.POST(HttpRequest.BodyPublishers.ofString(body));
        }
        var answer = CLIENT.send(question.build(), HttpResponse.BodyHandlers.ofString());
        if (answer.statusCode() != 200) {
            throw new IllegalStateException(address + " answers " + answer.statusCode() + ": " + answer.body());
        }
        return answer.body();
    }

    private static String find(String pattern, String text) {
        Matcher found = Pattern.compile(pattern).matcher(text.replaceAll("\"\\s*:\\s*", "\":"));
        if (!found.find()) {
            throw new AssertionError("nothing like " + pattern + " in " + text);
        }
        return found.group(1);
    }

    private DruidProbe() {}
}

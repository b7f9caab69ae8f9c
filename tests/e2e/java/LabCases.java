// What clients that are co-processes have in common (tests/e2e/coprocess.py). Reads one JSON request per line ({"case": "...", ...}), runs
// the case, and answers one JSON line: {"ok": true, ...} or {"ok": false, "error": class, "message": text}.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.util.*;
import java.util.concurrent.ExecutionException;
import java.util.function.Consumer;

public abstract class LabCases {
    interface Case { Map<String, Object> run(JsonNode request) throws Exception; }

    static final ObjectMapper JSON = new ObjectMapper();
    static final Map<String, Case> CASES = new TreeMap<>();

    /** Until there are no more requests. `before` each case; `after` each, good or bad, which may add to the answer. */
    static void serve(Runnable before, Consumer<Map<String, Object>> after) throws Exception {
        PrintStream out = System.out;
        System.setOut(System.err); // logs go where they do no harm
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = in.readLine()) != null;) {
            before.run();
            Map<String, Object> answer = answer(line);
            after.accept(answer);
            out.println(JSON.writeValueAsString(answer));
            out.flush();
        }
    }

    static Map<String, Object> answer(String line) {
        Map<String, Object> answer = new LinkedHashMap<>();
        try {
            JsonNode request = JSON.readTree(line);
            answer.putAll(CASES.get(request.get("case").asText()).run(request));
            answer.put("ok", true);
        } catch (Throwable error) {
            Throwable cause = error;
            while (cause instanceof ExecutionException && cause.getCause() != null) cause = cause.getCause();
            cause.printStackTrace();
            answer.put("ok", false);
            answer.put("error", cause.getClass().getSimpleName());
            answer.put("message", String.valueOf(cause.getMessage()));
        }
        return answer;
    }

    static String text(JsonNode r, String name, String otherwise) { return r.has(name) ? r.get(name).asText() : otherwise; }

    static int number(JsonNode r, String name, int otherwise) { return r.has(name) ? r.get(name).asInt() : otherwise; }
}

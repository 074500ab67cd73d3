package elasticjob.peer;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.function.Function;

import com.google.gson.JsonElement;
import com.google.gson.JsonParser;

/**
 * Commands on the standard input, answers on the standard output, a line of JSON each.
 */
final class Lines {

    private static final int INPUT_IS_OVER = 70;

    private Lines() {
    }

    /**
     * Answers until the input is over, and ends the process then, without any clearing up.
     */
    static void answer(final Function<JsonElement, JsonElement> obey) throws IOException {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            System.out.println(obey.apply(parse(line)));
        }
        Runtime.getRuntime().halt(INPUT_IS_OVER);
    }

    /** The versions of Gson that ElasticJob brings have either this way to parse, or a way besides. */
    @SuppressWarnings("deprecation")
    private static JsonElement parse(final String line) {
        return new JsonParser().parse(line);
    }
}

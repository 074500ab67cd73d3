package elasticjob.texts;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import org.yaml.snakeyaml.Yaml;
import org.yaml.snakeyaml.nodes.MappingNode;
import org.yaml.snakeyaml.nodes.Node;
import org.yaml.snakeyaml.nodes.NodeTuple;
import org.yaml.snakeyaml.nodes.ScalarNode;
import org.yaml.snakeyaml.nodes.SequenceNode;

/**
 * Answers each line with one: both are JSON. Orders are to write settings, to read them, and to show the nodes of a text.
 */
public final class Texts {

    private static final Gson GSON = new GsonBuilder().serializeNulls().disableHtmlEscaping().create();

    private Texts() {
    }

    /** Answers until the input ends. */
    public static void main(final String[] arguments) throws IOException {
        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream answers = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        for (String line = orders.readLine(); null != line; line = orders.readLine()) {
            JsonObject answer = new JsonObject();
            try {
                answer.add("Ok", answer(new JsonParser().parse(line).getAsJsonObject()));
            } catch (final RuntimeException thrown) {
                answer.addProperty("Err", String.valueOf(thrown.getMessage()));
            }
            answers.println(GSON.toJson(answer));
        }
    }

    private static JsonElement answer(final JsonObject order) {
        if (order.has("write")) {
            return new JsonPrimitive(written(order.get("write").getAsJsonObject()));
        }
        if (order.has("read")) {
            return read(order.get("read").getAsString());
        }
        return shown(new Yaml().compose(new StringReader(order.get("compose").getAsString())));
    }

    /** ElasticJob dumps an object whose properties are sorted, as these are. It leaves the order of props open. */
    private static String written(final JsonObject settings) {
        return new Yaml().dumpAsMap(plain(settings));
    }

    private static Object plain(final JsonElement element) {
        if (element.isJsonObject()) {
            Map<String, Object> entries = new TreeMap<>();
            element.getAsJsonObject().entrySet().forEach(entry -> entries.put(entry.getKey(), plain(entry.getValue())));
            return entries;
        }
        if (element.isJsonArray()) {
            List<Object> items = new ArrayList<>();
            element.getAsJsonArray().forEach(item -> items.add(plain(item)));
            return items;
        }
        JsonPrimitive value = element.getAsJsonPrimitive();
        if (value.isBoolean()) {
            return value.getAsBoolean();
        }
        return value.isNumber() ? (Object) value.getAsInt() : value.getAsString();
    }

    private static JsonElement read(final String text) {
        Configuration configuration = new Yaml().loadAs(text, Configuration.class);
        JsonObject shown = GSON.toJsonTree(configuration).getAsJsonObject();
        JsonObject props = new JsonObject();
        if (null != configuration.props) {
            configuration.props.forEach((key, value) -> props.add(key instanceof String ? key.toString() : "not a text: " + key, shown(value)));
        }
        shown.add("props", props);
        return shown;
    }

    private static JsonElement shown(final Object value) {
        return value instanceof String ? new JsonPrimitive((String) value) : GSON.toJsonTree(Map.of(value.getClass().getSimpleName(), value.toString()));
    }

    private static JsonElement shown(final Node node) {
        JsonObject shown = new JsonObject();
        shown.addProperty("tag", node.getTag().getValue());
        shown.add("value", value(node));
        return shown;
    }

    private static JsonElement value(final Node node) {
        JsonArray parts = new JsonArray();
        if (node instanceof SequenceNode) {
            ((SequenceNode) node).getValue().forEach(item -> parts.add(shown(item)));
        } else if (node instanceof MappingNode) {
            for (NodeTuple entry : ((MappingNode) node).getValue()) {
                parts.add(shown(entry.getKeyNode()));
                parts.add(shown(entry.getValueNode()));
            }
        } else {
            return new JsonPrimitive(((ScalarNode) node).getValue());
        }
        return parts;
    }
}

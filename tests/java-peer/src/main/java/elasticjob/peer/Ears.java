package elasticjob.peer;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.concurrent.TimeUnit;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import org.apache.shardingsphere.elasticjob.infra.listener.ShardingContexts;

/**
 * The file that the listeners of all members write to, in the form of {@code tests/src/hearing.rs}.
 */
final class Ears {

    private final Path file;

    private final Clock clock = new Clock();

    Ears(final Path history) throws IOException {
        file = history.resolveSibling(history.getFileName() + ".heard");
    }

    /** Notes that a listener was told, and that it was no more than that. */
    void hear(final String listener, final String moment, final ShardingContexts contexts) throws IOException {
        String[] task = contexts.getTaskId().split("@-@");
        JsonArray items = new JsonArray();
        contexts.getShardingItemParameters().keySet().forEach(items::add);
        JsonObject line = new JsonObject();
        JsonElement began = now();
        line.add("began", began);
        line.add("ended", JsonNull.INSTANCE);
        line.addProperty("listener", listener);
        line.addProperty("moment", moment);
        line.addProperty("scheduled", Journal.firing(contexts.getJobName()).getScheduledFireTime().toInstant().toString());
        line.add("items", items);
        line.addProperty("instance", task[3] + "@-@" + task[4]);
        append(line);
        line.add("ended", now());
        append(line);
    }

    private JsonObject now() {
        long now = clock.nanosecondsSinceBoot();
        JsonObject result = new JsonObject();
        result.addProperty("secs", TimeUnit.NANOSECONDS.toSeconds(now));
        result.addProperty("nanos", now % TimeUnit.SECONDS.toNanos(1));
        return result;
    }

    private void append(final JsonObject line) throws IOException {
        byte[] bytes = (line + "\n").getBytes(StandardCharsets.UTF_8);
        Files.write(file, bytes, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    }
}

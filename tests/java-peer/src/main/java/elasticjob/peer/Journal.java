package elasticjob.peer;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

import com.google.gson.JsonObject;
import org.apache.shardingsphere.elasticjob.api.ShardingContext;
import org.quartz.JobExecutionContext;
import org.quartz.Scheduler;
import org.quartz.SchedulerException;
import org.quartz.impl.SchedulerRepository;

/**
 * The file that the items of all members write to, in the form of {@code tests/src/history.rs}.
 */
final class Journal {

    private final FileChannel file;

    private final Clock clock = new Clock();

    private final AtomicLong runs = new AtomicLong();

    /** The firing in which each item of each job was run last. */
    private final Map<String, String> firings = new ConcurrentHashMap<>();

    Journal(final Path path) throws IOException {
        file = FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.WRITE, StandardOpenOption.APPEND);
    }

    /**
     * Notes that a run has begun. What it gives, closed before the run is finished, notes that it was stopped.
     */
    Run begin(final ShardingContext context) {
        String[] task = context.getTaskId().split("@-@");
        String instance = task[3] + "@-@" + task[4];
        JsonObject identity = new JsonObject();
        identity.addProperty("job", context.getJobName());
        identity.addProperty("item", context.getShardingItem());
        identity.addProperty("scheduled", scheduled(context).toString());
        identity.addProperty("attempt", 1);
        identity.addProperty("run", instance + "-" + runs.incrementAndGet());
        identity.addProperty("instance", instance);
        return new Run(identity);
    }

    /**
     * The time that the run was due. The second run of an item in a firing makes up for one that was missed; Java does
     * not know which, so that it was due now.
     */
    private Instant scheduled(final ShardingContext context) {
        JobExecutionContext firing = firing(context.getJobName());
        String item = context.getJobName() + "/" + context.getShardingItem();
        boolean isAgain = firing.getFireInstanceId().equals(firings.put(item, firing.getFireInstanceId()));
        return isAgain ? Instant.now() : firing.getScheduledFireTime().toInstant();
    }

    /** ElasticJob has a scheduler of its own for each job, which does one thing at a time. */
    static JobExecutionContext firing(final String job) {
        try {
            Scheduler scheduler = SchedulerRepository.getInstance().lookup(job);
            return scheduler.getCurrentlyExecutingJobs().get(0);
        } catch (final SchedulerException ex) {
            throw new IllegalStateException(ex);
        }
    }

    /** One write to a file that is open for appending is not torn by those of others. */
    private void append(final JsonObject line) {
        try {
            file.write(ByteBuffer.wrap((line + "\n").getBytes(StandardCharsets.UTF_8)));
        } catch (final IOException ex) {
            throw new UncheckedIOException(ex);
        }
    }

    /**
     * What happens to one run.
     */
    final class Run implements AutoCloseable {

        private final JsonObject identity;

        private boolean isFinished;

        private Run(final JsonObject identity) {
            this.identity = identity;
            note("begun");
        }

        void goOn() {
            note("went-on");
        }

        void finish() {
            isFinished = true;
            note("finished");
        }

        @Override
        public void close() {
            if (!isFinished) {
                note("dropped");
            }
        }

        private void note(final String event) {
            long now = clock.nanosecondsSinceBoot();
            JsonObject at = new JsonObject();
            at.addProperty("secs", TimeUnit.NANOSECONDS.toSeconds(now));
            at.addProperty("nanos", now % TimeUnit.SECONDS.toNanos(1));
            JsonObject line = new JsonObject();
            line.add("at", at);
            line.addProperty("event", event);
            identity.entrySet().forEach(entry -> line.add(entry.getKey(), entry.getValue()));
            append(line);
        }
    }
}

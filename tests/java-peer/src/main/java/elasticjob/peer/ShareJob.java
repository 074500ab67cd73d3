package elasticjob.peer;

import java.util.concurrent.TimeUnit;

import org.apache.shardingsphere.elasticjob.api.ShardingContext;
import org.apache.shardingsphere.elasticjob.simple.job.SimpleJob;

/**
 * Items that take their time.
 */
public final class ShareJob implements SimpleJob {

    /** How often a run shows that it lives. */
    private static final long SIGN_OF_LIFE = TimeUnit.MILLISECONDS.toNanos(50);

    private final Journal journal;

    private final long work;

    ShareJob(final Journal journal, final int milliseconds) {
        this.journal = journal;
        work = TimeUnit.MILLISECONDS.toNanos(milliseconds);
    }

    @Override
    public void execute(final ShardingContext context) {
        try (Journal.Run run = journal.begin(context)) {
            long end = System.nanoTime() + work;
            for (long left = work; left > 0; left = end - System.nanoTime()) {
                TimeUnit.NANOSECONDS.sleep(Math.min(left, SIGN_OF_LIFE));
                run.goOn();
            }
            run.finish();
        } catch (final InterruptedException ex) {
            Thread.currentThread().interrupt();
        }
    }
}

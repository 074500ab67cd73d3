package elasticjob.peer;

import org.apache.shardingsphere.elasticjob.api.ShardingContext;
import org.apache.shardingsphere.elasticjob.simple.job.SimpleJob;

/**
 * Runs when asked to. Of three items one succeeds, two fail.
 */
public final class RebuildJob implements SimpleJob {

    private final Journal journal;

    RebuildJob(final Journal journal) {
        this.journal = journal;
    }

    @Override
    public void execute(final ShardingContext context) {
        try (Journal.Run run = journal.begin(context)) {
            run.finish();
        }
        if (context.getShardingItem() % 3 != 0) {
            throw new IllegalStateException("no disk for item " + context.getShardingItem());
        }
    }
}

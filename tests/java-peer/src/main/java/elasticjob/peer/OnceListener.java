package elasticjob.peer;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

import org.apache.shardingsphere.elasticjob.infra.listener.ShardingContexts;
import org.apache.shardingsphere.elasticjob.lite.api.listener.AbstractDistributeOnceElasticJobListener;

/**
 * Is told once in the cluster, as the listener {@code ONCE} of {@code tests/src/bin/member.rs}.
 */
public final class OnceListener extends AbstractDistributeOnceElasticJobListener {

    /** Longer than any test waits: whoever gives up ends the waiting of all. */
    private static final long LIMIT = TimeUnit.MINUTES.toMillis(2);

    public OnceListener() {
        super(LIMIT, LIMIT);
    }

    @Override
    public void doBeforeJobExecutedAtLastStarted(final ShardingContexts contexts) {
        hear("before", contexts);
    }

    @Override
    public void doAfterJobExecutedAtLastCompleted(final ShardingContexts contexts) {
        hear("after", contexts);
    }

    @Override
    public String getType() {
        return "ONCE";
    }

    /** It is made by the service loader, so that it finds the file by itself. */
    private void hear(final String moment, final ShardingContexts contexts) {
        Environment environment = Environment.ofProcess();
        try {
            new Ears(Path.of(environment.required("MEMBER_HISTORY"))).hear(getType(), moment, contexts);
        } catch (final IOException ex) {
            throw new UncheckedIOException(ex);
        }
    }
}

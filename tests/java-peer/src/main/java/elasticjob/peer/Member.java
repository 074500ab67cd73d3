package elasticjob.peer;

import java.nio.file.Path;
import java.util.Optional;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import org.apache.shardingsphere.elasticjob.api.JobConfiguration;
import org.apache.shardingsphere.elasticjob.lite.api.bootstrap.impl.OneOffJobBootstrap;
import org.apache.shardingsphere.elasticjob.lite.api.bootstrap.impl.ScheduleJobBootstrap;
import org.apache.shardingsphere.elasticjob.lite.internal.snapshot.SnapshotService;
import org.apache.shardingsphere.elasticjob.reg.base.CoordinatorRegistryCenter;
import org.apache.shardingsphere.elasticjob.reg.zookeeper.ZookeeperRegistryCenter;

/**
 * An ordinary ElasticJob application with the jobs of {@code tests/src/bin/member.rs}, told the same things in the same
 * way. It ends when its input does, which is when whoever started it is gone.
 */
public final class Member {

    private static final int ITEMS = 10;

    private static final int ITEMS_TO_REBUILD = 6;

    private Member() {
    }

    public static void main(final String[] arguments) throws Exception {
        Environment environment = Environment.ofProcess();
        Address.take(environment.required("ELASTICJOB_NETWORK_IP"));
        Journal journal = new Journal(Path.of(environment.required("MEMBER_HISTORY")));
        CoordinatorRegistryCenter registry = new ZookeeperRegistryCenter(environment.registry());
        registry.init();
        if (environment.has("ELASTICJOB_DUMP_PORT")) {
            new SnapshotService(registry, environment.number("ELASTICJOB_DUMP_PORT", 0)).listen();
        }
        int work = environment.number("MEMBER_WORK", 0);
        Optional<OneOffJobBootstrap> rebuild = rebuild(environment, registry, journal);
        for (int copy = 0; copy < environment.number("MEMBER_COPIES", 1); copy++) {
            String name = copy == 0 ? "share" : "share" + copy;
            new ScheduleJobBootstrap(
                            registry, new ShareJob(journal, work), environment.job(name, "share", "0/2 * * * * ?", ITEMS))
                    .schedule();
        }
        Lines.answer(command -> obey(command, rebuild));
    }

    private static Optional<OneOffJobBootstrap> rebuild(
            final Environment environment, final CoordinatorRegistryCenter registry, final Journal journal) {
        if (environment.has("MEMBER_SHARES_ONLY")) {
            return Optional.empty();
        }
        JobConfiguration configuration = environment.job("rebuild", "rebuild", null, ITEMS_TO_REBUILD);
        return Optional.of(new OneOffJobBootstrap(registry, new RebuildJob(journal), configuration));
    }

    private static JsonElement obey(final JsonElement command, final Optional<OneOffJobBootstrap> rebuild) {
        if (command.isJsonPrimitive() && "IsReady".equals(command.getAsString())) {
            JsonObject answer = new JsonObject();
            answer.add("Ready", new JsonPrimitive(true));
            return answer;
        }
        String job = command.getAsJsonObject().getAsJsonObject("Execute").get("job").getAsString();
        if (!"rebuild".equals(job)) {
            throw new IllegalArgumentException("no one-off job: " + job);
        }
        rebuild.orElseThrow().execute();
        JsonObject answer = new JsonObject();
        // Whoever has a job run is not told what becomes of it.
        answer.add("Executed", new JsonObject());
        return answer;
    }
}

package elasticjob.peer;

import java.util.Map;
import java.util.TreeMap;

import com.zaxxer.hikari.HikariDataSource;
import org.apache.shardingsphere.elasticjob.api.JobConfiguration;
import org.apache.shardingsphere.elasticjob.reg.zookeeper.ZookeeperConfiguration;
import org.apache.shardingsphere.elasticjob.tracing.api.TracingConfiguration;

/**
 * What the environment says, by the names that a member in Rust has for it.
 */
final class Environment {

    private final Map<String, String> variables;

    private Environment(final Map<String, String> variables) {
        this.variables = variables;
    }

    static Environment ofProcess() {
        return new Environment(System.getenv());
    }

    String required(final String name) {
        String value = variables.get(name);
        if (value == null) {
            throw new IllegalArgumentException(name + " is not set");
        }
        return value;
    }

    boolean has(final String name) {
        return variables.containsKey(name);
    }

    int number(final String name, final int otherwise) {
        return has(name) ? Integer.parseInt(required(name)) : otherwise;
    }

    String digest() {
        return variables.get("ELASTICJOB_REG_CENTER_DIGEST");
    }

    String servers() {
        return required("ELASTICJOB_REG_CENTER_SERVER_LISTS");
    }

    String namespace() {
        return required("ELASTICJOB_REG_CENTER_NAMESPACE");
    }

    ZookeeperConfiguration registry() {
        ZookeeperConfiguration result = new ZookeeperConfiguration(servers(), namespace());
        String timeout = required("ELASTICJOB_REG_CENTER_SESSION_TIMEOUT");
        if (!timeout.endsWith("ms")) {
            throw new IllegalArgumentException("not in milliseconds: " + timeout);
        }
        result.setSessionTimeoutMilliseconds(Integer.parseInt(timeout.substring(0, timeout.length() - 2)));
        if (digest() != null) {
            result.setDigest(digest());
        }
        return result;
    }

    /**
     * A job's configuration: what the environment says of the job that it is a copy of, over a cron expression (none for
     * a one-off job), and a number of items.
     */
    JobConfiguration job(final String name, final String original, final String cron, final int items) {
        Map<String, String> settings = settings("ELASTICJOB_JOBS_" + original.toUpperCase() + "_");
        String count = settings.remove("SHARDING_TOTAL_COUNT");
        JobConfiguration.Builder builder =
                JobConfiguration.newBuilder(name, count == null ? items : Integer.parseInt(count));
        if (cron != null) {
            builder.cron(cron).timeZone("GMT");
        }
        settings.forEach((key, value) -> set(builder, key, value));
        if (has("ELASTICJOB_TRACING_TYPE")) {
            builder.addExtraConfigurations(tracing());
        }
        return builder.build();
    }

    /**
     * Where it is recorded what becomes of runs. It is stored with the job's configuration, the password too.
     */
    private TracingConfiguration<HikariDataSource> tracing() {
        HikariDataSource storage = new HikariDataSource();
        storage.setJdbcUrl(required("ELASTICJOB_TRACING_DATA_SOURCE_URL"));
        storage.setUsername(required("ELASTICJOB_TRACING_DATA_SOURCE_USERNAME"));
        storage.setPassword(required("ELASTICJOB_TRACING_DATA_SOURCE_PASSWORD"));
        return new TracingConfiguration<>(required("ELASTICJOB_TRACING_TYPE"), storage);
    }

    private Map<String, String> settings(final String prefix) {
        Map<String, String> result = new TreeMap<>();
        variables.forEach((key, value) -> {
            if (key.startsWith(prefix)) {
                result.put(key.substring(prefix.length()), value);
            }
        });
        return result;
    }

    private static void set(final JobConfiguration.Builder builder, final String key, final String value) {
        switch (key) {
            case "CRON" -> builder.cron(value);
            case "TIME_ZONE" -> builder.timeZone(value);
            case "SHARDING_ITEM_PARAMETERS" -> builder.shardingItemParameters(value);
            case "JOB_PARAMETER" -> builder.jobParameter(value);
            case "DESCRIPTION" -> builder.description(value);
            case "JOB_SHARDING_STRATEGY_TYPE" -> builder.jobShardingStrategyType(value);
            case "JOB_EXECUTOR_SERVICE_HANDLER_TYPE" -> builder.jobExecutorServiceHandlerType(value);
            case "JOB_LISTENER_TYPES" -> builder.jobListenerTypes(value.split(","));
            case "MONITOR_EXECUTION" -> builder.monitorExecution(truth(value));
            case "FAILOVER" -> builder.failover(truth(value));
            case "MISFIRE" -> builder.misfire(truth(value));
            case "DISABLED" -> builder.disabled(truth(value));
            case "OVERWRITE" -> builder.overwrite(truth(value));
            case "MAX_TIME_DIFF_SECONDS" -> builder.maxTimeDiffSeconds(Integer.parseInt(value));
            case "RECONCILE_INTERVAL_MINUTES" -> builder.reconcileIntervalMinutes(Integer.parseInt(value));
            default -> throw new IllegalArgumentException("a setting that this member does not have: " + key);
        }
    }

    private static boolean truth(final String value) {
        return switch (value) {
            case "true" -> true;
            case "false" -> false;
            default -> throw new IllegalArgumentException("neither true nor false: " + value);
        };
    }
}

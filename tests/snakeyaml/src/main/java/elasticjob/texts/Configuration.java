package elasticjob.texts;

import java.util.List;
import java.util.Properties;

/**
 * A stored configuration under the names and types that ElasticJob reads it into.
 */
public final class Configuration {

    public String jobName;

    public String cron;

    public String timeZone;

    public int shardingTotalCount;

    public String shardingItemParameters;

    public String jobParameter;

    public boolean monitorExecution;

    public boolean failover;

    public boolean misfire;

    public int maxTimeDiffSeconds = -1;

    public int reconcileIntervalMinutes;

    public String jobShardingStrategyType;

    public String jobExecutorServiceHandlerType;

    public String jobErrorHandlerType;

    public List<String> jobListenerTypes;

    public String description;

    public Properties props;

    public boolean disabled;

    public boolean overwrite;

    public String label;

    public boolean staticSharding;
}

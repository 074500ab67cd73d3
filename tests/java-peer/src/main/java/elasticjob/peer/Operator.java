package elasticjob.peer;

import java.lang.reflect.InvocationTargetException;

import com.google.gson.Gson;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import org.apache.shardingsphere.elasticjob.infra.pojo.JobConfigurationPOJO;
import org.apache.shardingsphere.elasticjob.infra.yaml.YamlEngine;
import org.apache.shardingsphere.elasticjob.lite.lifecycle.api.JobAPIFactory;
import org.apache.shardingsphere.elasticjob.lite.lifecycle.api.JobConfigurationAPI;
import org.apache.shardingsphere.elasticjob.lite.lifecycle.api.JobOperateAPI;
import org.apache.shardingsphere.elasticjob.lite.lifecycle.api.JobStatisticsAPI;
import org.apache.shardingsphere.elasticjob.lite.lifecycle.api.ServerStatisticsAPI;
import org.apache.shardingsphere.elasticjob.lite.lifecycle.api.ShardingOperateAPI;
import org.apache.shardingsphere.elasticjob.lite.lifecycle.api.ShardingStatisticsAPI;

/**
 * Somebody at the console: does what it is told by the Java lifecycle API.
 */
public final class Operator {

    private final JobOperateAPI jobs;

    private final ShardingOperateAPI items;

    private final JobConfigurationAPI configurations;

    private final JobStatisticsAPI statistics;

    private final ServerStatisticsAPI servers;

    private final ShardingStatisticsAPI sharding;

    private Operator(final Environment environment) {
        String addresses = environment.servers();
        String namespace = environment.namespace();
        String digest = environment.digest();
        jobs = JobAPIFactory.createJobOperateAPI(addresses, namespace, digest);
        items = JobAPIFactory.createShardingOperateAPI(addresses, namespace, digest);
        configurations = JobAPIFactory.createJobConfigurationAPI(addresses, namespace, digest);
        statistics = JobAPIFactory.createJobStatisticsAPI(addresses, namespace, digest);
        servers = JobAPIFactory.createServerStatisticsAPI(addresses, namespace, digest);
        sharding = JobAPIFactory.createShardingStatisticsAPI(addresses, namespace, digest);
    }

    public static void main(final String[] arguments) throws Exception {
        Operator operator = new Operator(Environment.ofProcess());
        Lines.answer(order -> operator.carryOut(order.getAsJsonObject()));
    }

    /** Gives {@code Ok} with what there is to know, or {@code Err} with what was thrown. */
    private JsonObject carryOut(final JsonObject order) {
        JsonObject answer = new JsonObject();
        try {
            answer.add("Ok", result(order));
        } catch (final RuntimeException | ReflectiveOperationException ex) {
            answer.add("Err", new JsonPrimitive(String.valueOf(ex)));
        }
        return answer;
    }

    private JsonElement result(final JsonObject order) throws ReflectiveOperationException {
        String job = text(order, "job");
        String ip = text(order, "ip");
        switch (text(order, "operation")) {
            case "trigger" -> jobs.trigger(job);
            case "disable" -> jobs.disable(job, ip);
            case "enable" -> jobs.enable(job, ip);
            case "shutdown" -> jobs.shutdown(job, ip);
            case "remove" -> jobs.remove(job, ip);
            case "disable-item" -> items.disable(job, text(order, "item"));
            case "enable-item" -> items.enable(job, text(order, "item"));
            case "update" -> update(job, order.getAsJsonObject("changes"));
            case "remove-job" -> configurations.removeJobConfiguration(job);
            case "configuration" -> {
                return new JsonPrimitive(YamlEngine.marshal(configurations.getJobConfiguration(job)));
            }
            case "job" -> {
                return new Gson().toJsonTree(statistics.getJobBriefInfo(job));
            }
            case "jobs" -> {
                return new Gson().toJsonTree(statistics.getAllJobsBriefInfo());
            }
            case "jobs-on" -> {
                return new Gson().toJsonTree(statistics.getJobsBriefInfo(ip));
            }
            case "counts" -> {
                return new Gson().toJsonTree(new int[] {statistics.getJobsTotalCount(), servers.getServersTotalCount()});
            }
            case "servers" -> {
                return new Gson().toJsonTree(servers.getAllServersBriefInfo());
            }
            case "fields" -> {
                return new Gson().toJsonTree(configurations.getJobConfiguration(job));
            }
            case "items" -> {
                return new Gson().toJsonTree(sharding.getShardingInfo(job));
            }
            case "dump" -> {
                return new JsonPrimitive(dump(job, ip, order.get("port").getAsInt()));
            }
            default -> throw new IllegalArgumentException("unknown: " + order);
        }
        return JsonNull.INSTANCE;
    }

    private void update(final String job, final JsonObject changes) {
        JobConfigurationPOJO configuration = configurations.getJobConfiguration(job);
        changes.entrySet().forEach(change -> {
            JsonElement value = change.getValue();
            switch (change.getKey()) {
                case "cron" -> configuration.setCron(value.getAsString());
                case "shardingTotalCount" -> configuration.setShardingTotalCount(value.getAsInt());
                case "failover" -> configuration.setFailover(value.getAsBoolean());
                case "description" -> configuration.setDescription(value.getAsString());
                default -> throw new IllegalArgumentException("unknown: " + change);
            }
        });
        configurations.updateJobConfiguration(configuration);
    }

    /** 3.0.2 has no such call, so that it cannot be named here. */
    private String dump(final String job, final String ip, final int port) throws ReflectiveOperationException {
        try {
            return (String) JobOperateAPI.class
                    .getMethod("dump", String.class, String.class, int.class)
                    .invoke(jobs, job, ip, port);
        } catch (final InvocationTargetException ex) {
            throw new IllegalStateException(ex.getCause());
        }
    }

    private static String text(final JsonObject order, final String key) {
        return order.has(key) && !order.get(key).isJsonNull() ? order.get(key).getAsString() : null;
    }
}

package elasticjob.peer;

import java.lang.reflect.Field;

import org.apache.shardingsphere.elasticjob.infra.env.IpUtils;

/**
 * The address that this process goes by.
 *
 * <p>ElasticJob takes none of the loopback interface, and has no setting for another. Here each process is to be a host
 * of its own, with nothing but the loopback interface, so the address is put where ElasticJob remembers it.</p>
 */
final class Address {

    private Address() {
    }

    static void take(final String ip) throws ReflectiveOperationException {
        Field remembered = IpUtils.class.getDeclaredField("cachedIpAddress");
        remembered.setAccessible(true);
        remembered.set(null, ip);
        if (!ip.equals(IpUtils.getIp())) {
            throw new IllegalStateException("this version of ElasticJob takes its address from elsewhere");
        }
    }
}

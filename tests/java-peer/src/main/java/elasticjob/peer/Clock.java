package elasticjob.peer;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/**
 * How long the machine has been up, time asleep included: one clock for all processes, which nobody sets.
 */
final class Clock {

    /** Coarser than the system tells us, and finer than any sleep of a machine. */
    private static final long RESOLUTION = TimeUnit.MILLISECONDS.toNanos(100);

    /** What the Java clock leaves out. */
    private final long asleep;

    Clock() throws IOException {
        String seconds = Files.readString(Path.of("/proc/uptime")).split(" ")[0];
        long difference = (long) (Double.parseDouble(seconds) * 1e9) - System.nanoTime();
        asleep = Math.abs(difference) < RESOLUTION ? 0 : difference;
    }

    long nanosecondsSinceBoot() {
        return System.nanoTime() + asleep;
    }
}

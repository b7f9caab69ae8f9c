// What a Kafka client has learned of where brokers are: every Node, and every address, that can be reached from the client's own object.
// Works for clients of all ages; those of the JDK's classes that are looked into are collections and references.

import java.lang.reflect.Array;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.net.InetSocketAddress;
import java.util.*;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.common.Node;

final class Known {
    private final Set<Object> seen = Collections.newSetFromMap(new IdentityHashMap<>());
    private final Deque<Object> todo = new ArrayDeque<>();
    private final Set<String> addresses = new TreeSet<>();

    private Known() {}

    /** "host:port" of each. */
    static Set<String> of(Object client) {
        Known known = new Known();
        known.push(client);
        while (!known.todo.isEmpty()) known.look(known.todo.pop());
        return known.addresses;
    }

    private void push(Object one) {
        if (one != null && seen.add(one)) todo.push(one);
    }

    private void look(Object one) {
        if (one instanceof Node) {
            if (((Node) one).port() >= 0) addresses.add(((Node) one).host() + ":" + ((Node) one).port());
        } else if (one instanceof InetSocketAddress) {
            addresses.add(((InetSocketAddress) one).getHostString() + ":" + ((InetSocketAddress) one).getPort());
        } else if (one instanceof Map || one instanceof Collection) {
            inside(one);
        } else if (one instanceof AtomicReference) {
            push(((AtomicReference<?>) one).get());
        } else if (one instanceof Optional) {
            push(((Optional<?>) one).orElse(null));
        } else if (one.getClass().isArray()) {
            for (int i = 0; !one.getClass().getComponentType().isPrimitive() && i < Array.getLength(one); i++) push(Array.get(one, i));
        } else if (one.getClass().getName().startsWith("org.apache.kafka.")) {
            for (Class<?> type = one.getClass(); type != null && type.getName().startsWith("org.apache.kafka."); type = type.getSuperclass()) fields(one, type);
        }
    }

    /** The client's threads may change it meanwhile. */
    private void inside(Object collection) {
        for (int attempt = 0;; attempt++)
            try {
                if (collection instanceof Map) {
                    for (Object key : new ArrayList<>(((Map<?, ?>) collection).keySet())) push(key);
                    for (Object value : new ArrayList<>(((Map<?, ?>) collection).values())) push(value);
                } else {
                    for (Object value : new ArrayList<>((Collection<?>) collection)) push(value);
                }
                return;
            } catch (ConcurrentModificationException | ArrayIndexOutOfBoundsException | NoSuchElementException error) {
                if (attempt == 20) throw error;
            } catch (UnsupportedOperationException error) {
                return; // a map that is none
            }
    }

    private void fields(Object one, Class<?> type) {
        for (Field field : type.getDeclaredFields()) {
            if (field.getType().isPrimitive() || Modifier.isStatic(field.getModifiers())) continue;
            try {
                field.setAccessible(true);
                push(field.get(one));
            } catch (ReflectiveOperationException | RuntimeException error) {
                throw new IllegalStateException(field.toString(), error);
            }
        }
    }
}

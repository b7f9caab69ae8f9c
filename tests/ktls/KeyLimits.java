// Java's TLS, which changes its key after so many bytes and asks for another of ours (jdk.tls.keyLimits: 2^37 where nobody sets it, which takes
// 23 minutes at 100 MB/s). KeyLimits PORT CA SIZE: sends SIZE bytes to whoever echoes them, and ends with 0 if the same bytes come back.

import java.io.*;
import java.net.InetSocketAddress;
import java.nio.file.*;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.*;
import java.util.concurrent.CompletableFuture;
import javax.net.ssl.*;

public class KeyLimits {
    static SSLContext trusting(String file) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX");
        SSLContext context = SSLContext.getInstance("TLSv1.3");
        store.load(null, null);
        try (InputStream in = Files.newInputStream(Path.of(file))) {
            store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(in));
        }
        trust.init(store);
        context.init(null, trust.getTrustManagers(), null);
        return context;
    }

    static void send(SSLSocket socket, byte[] data) {
        try {
            for (int at = 0; at < data.length; at += 50000) socket.getOutputStream().write(data, at, Math.min(50000, data.length - at));
            socket.shutdownOutput();
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    public static void main(String[] words) throws Exception {
        byte[] data = new byte[Integer.parseInt(words[2])];
        new Random(5).nextBytes(data);
        try (SSLSocket socket = (SSLSocket) trusting(words[1]).getSocketFactory().createSocket()) {
            // Behind a limit it asks for a new key with each record under the old one: penstock takes a hundred such requests in a second.
            socket.setReceiveBufferSize(1 << 16);
            socket.connect(new InetSocketAddress("127.0.0.1", Integer.parseInt(words[0])));
            socket.setSoTimeout(30000);
            socket.startHandshake();
            CompletableFuture<Void> sent = CompletableFuture.runAsync(() -> send(socket, data));
            byte[] got = socket.getInputStream().readAllBytes();
            sent.get();
            System.out.println(socket.getSession().getProtocol() + " " + socket.getSession().getCipherSuite());
            System.exit(Arrays.equals(got, data) ? 0 : 1);
        }
    }
}

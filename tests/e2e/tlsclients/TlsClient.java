// Java's JSSE; see README.md.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.*;
import java.nio.file.*;
import java.security.*;
import java.security.cert.*;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.*;
import java.util.concurrent.*;
import javax.net.ssl.*;

public class TlsClient {
    static final ObjectMapper JSON = new ObjectMapper();
    static long firstSession;

    static X509Certificate[] certificates(String file) throws Exception {
        try (InputStream in = Files.newInputStream(Path.of(file))) {
            return CertificateFactory.getInstance("X.509").generateCertificates(in).toArray(new X509Certificate[0]);
        }
    }

    static PrivateKey key(String file) throws Exception {
        String text = Files.readString(Path.of(file)).replaceAll("-----[A-Z ]+-----|\\s", "");
        return KeyFactory.getInstance("EC").generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(text)));
    }

    static SSLContext context(JsonNode order) throws Exception {
        KeyStore trusted = KeyStore.getInstance("PKCS12"), mine = KeyStore.getInstance("PKCS12");
        trusted.load(null, null);
        trusted.setCertificateEntry("ca", certificates(order.get("ca").asText())[0]);
        mine.load(null, null);
        if (order.hasNonNull("cert"))
            mine.setKeyEntry("me", key(order.get("key").asText()), new char[0], certificates(order.get("cert").asText()));
        TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX");
        trust.init(trusted);
        KeyManagerFactory keys = KeyManagerFactory.getInstance("PKIX");
        keys.init(mine, new char[0]);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
        return context;
    }

    static String sum(byte[] data) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(data));
    }

    static Map<String, Object> connect(JsonNode order, SSLContext context, JsonNode run) throws Exception {
        byte[] data = Files.readAllBytes(Path.of(run.get("file").asText()));
        String end = run.get("end").asText();
        SSLSocket socket = (SSLSocket) context.getSocketFactory().createSocket();
        socket.connect(new java.net.InetSocketAddress(order.get("host").asText(), order.get("port").asInt()), 5000);
        socket.setSoTimeout(30000);
        SSLParameters words = socket.getSSLParameters();
        words.setServerNames(List.of(new SNIHostName(order.get("name").asText())));
        words.setEndpointIdentificationAlgorithm("HTTPS");
        List<String> versions = new ArrayList<>();
        for (String version : new String[] {"1.2", "1.3"})
            if (version.compareTo(order.get("min").asText()) >= 0 && version.compareTo(order.get("max").asText()) <= 0) versions.add("TLSv" + version);
        words.setProtocols(versions.toArray(new String[0]));
        if (order.hasNonNull("alpn")) {
            List<String> alpn = new ArrayList<>();
            order.get("alpn").forEach(one -> alpn.add(one.asText()));
            words.setApplicationProtocols(alpn.toArray(new String[0]));
        }
        socket.setSSLParameters(words);
        // The name belongs to the session that JSSE keeps for this host and port, so it is set before the handshake.
        socket.startHandshake();
        CompletableFuture<Void> sent = CompletableFuture.runAsync(() -> {
            try {
                socket.getOutputStream().write(data);
                if (end.equals("half")) socket.shutdownOutput();
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        });
        byte[] got = socket.getInputStream().readNBytes(run.get("size").asInt());
        sent.get(30, TimeUnit.SECONDS);
        if (end.equals("client")) socket.shutdownOutput();
        int rest = socket.getInputStream().readAllBytes().length; // an exception unless close_notify comes
        if (rest > 0) throw new IOException(rest + " bytes too many");
        SSLSession session = socket.getSession();
        boolean resumed = session.getCreationTime() == firstSession; // what is resumed keeps the time of its beginning
        if (firstSession == 0) firstSession = session.getCreationTime();
        String alpn = socket.getApplicationProtocol();
        socket.close();
        return Map.of("version", session.getProtocol(), "alpn", alpn == null ? "" : alpn, "resumed", resumed, "sent", sum(data), "got", sum(got));
    }

    public static void main(String[] arguments) throws Exception {
        JsonNode order = JSON.readTree(arguments[0]);
        SSLContext context = context(order);
        for (JsonNode run : order.get("runs")) {
            if (!order.get("resume").asBoolean()) {
                context = context(order);
                firstSession = 0;
            }
            System.out.println(JSON.writeValueAsString(connect(order, context, run)));
            Thread.sleep(5); // a new session is told from a resumed one by its creation time, in milliseconds
        }
    }
}

"""TLS in front of `coalmine gateway`, by programs that people use: curl and Python's ssl.

usage: gateway_tls_test.py COALMINE
"""

import http.client
import http.server
import json
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading

from lab import Coalmine, skip, wait_until


class Hello(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = f"proto={self.headers['x-forwarded-proto']}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def certificate(folder, name):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj", f"/CN={name}",
                    "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"],
                   check=True, capture_output=True)
    with open(f"{folder}/cert.pem") as file:
        return file.read()


def curl(*words):
    done = subprocess.run(["curl", "--silent", "--show-error", "--max-time", "20", *words],
                          capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def shown(port):
    return ssl.get_server_certificate(("127.0.0.1", port), timeout=20)


def same(a, b):
    return ssl.PEM_cert_to_DER_cert(a) == ssl.PEM_cert_to_DER_cert(b)


def main(program):
    for needed in ("curl", "openssl"):
        if shutil.which(needed) is None:
            skip(f"{needed} is not installed")
    upstream = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hello)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        first = certificate(folder, "first")
        routes = {"listeners": [{
            "port": 9080,
            "tls": {"certificate": f"{folder}/cert.pem", "key": f"{folder}/key.pem"},
            "routes": [{"match": {"prefix": "/"}, "targets": [{
                "name": "v1", "instances": [f"127.0.0.1:{upstream.server_port}"]}]}]}]}
        with open(f"{folder}/routes.json", "w") as file:
            json.dump(routes, file)
        with Coalmine(program, "gateway", "--routes", f"{folder}/routes.json",
                      "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0") as gateway:
            url = gateway.addresses["gateway"]
            port = int(url.rsplit(":", 1)[1])
            assert url.startswith("https://"), url
            code, out, err = curl("--cacert", f"{folder}/cert.pem", url + "/a", url + "/b")
            assert code == 0 and out == "proto=https" * 2, (code, out, err)
            assert same(shown(port), first)

            kept = ssl.create_default_context(cadata=first)
            connection = http.client.HTTPSConnection("127.0.0.1", port, context=kept, timeout=20)
            connection.request("GET", "/kept")
            assert connection.getresponse().read() == b"proto=https"
            second = certificate(folder, "second")
            gateway.process.send_signal(signal.SIGHUP)
            wait_until(lambda: same(shown(port), second), "the new certificate", 20)
            connection.request("GET", "/kept")
            assert connection.getresponse().read() == b"proto=https", "running connections go on"

            with open(f"{folder}/cert.pem", "w") as file:
                file.write("nonsense")
            gateway.process.send_signal(signal.SIGHUP)
            wait_until(lambda: f"cannot use the certificate {folder}/cert.pem" in gateway.errors(),
                       "a complaint that names the file", 20)
            assert same(shown(port), second), "a bad file changes nothing"

        # Without TLS, a client that insists on HTTP/2 is told why it cannot have it.
        del routes["listeners"][0]["tls"]
        with open(f"{folder}/routes.json", "w") as file:
            json.dump(routes, file)
        with Coalmine(program, "gateway", "--routes", f"{folder}/routes.json",
                      "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0") as gateway:
            url = gateway.addresses["gateway"]
            code, out, err = curl("--verbose", "--http2-prior-knowledge", url)
            told = "GOAWAY, error=13" in err or "HTTP_1_1_REQUIRED" in err
            spoken_again = code == 0 and out == "proto=http"  # by a curl that heeds it
            assert told or spoken_again, (code, out, err)
            code, out, err = curl("--http2", url)  # asks by Upgrade: h2c, which is ignored
            assert (code, out) == (0, "proto=http"), (code, out, err)
    upstream.shutdown()
    print("passed")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

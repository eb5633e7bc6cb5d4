/** nginx as a plain proxy: one worker, connections to the application kept, and the access log that the sidecar has, too. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, type Served, untilListening } from "./contenders.ts";
import { cores, startPinned } from "./pinned-process.ts";

export async function startNginx(nginx: string, application: string): Promise<Served> {
  const port = await freePort();
  const directory = mkdtempSync(join(tmpdir(), "outrigger-nginx-"));
  const file = join(directory, "nginx.conf");
  writeFileSync(file, configuration(directory, port, application));
  const started = await startPinned({
    core: cores.measured,
    command: nginx,
    parameters: ["-p", directory, "-c", file, "-e", join(directory, "error.log")],
  });
  await untilListening(port, started);
  return {
    ...started,
    address: `127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      await started[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Connections are kept for as many requests as come; nothing else differs from what nginx does by itself. */
function configuration(directory: string, port: number, application: string): string {
  return `
daemon off;
master_process off;
worker_processes 1;
pid ${directory}/nginx.pid;
error_log ${directory}/error.log;
events { worker_connections 2048; }
http {
  access_log ${directory}/access.log;
  keepalive_requests 1000000000;
  client_body_temp_path ${directory}/body;
  proxy_temp_path ${directory}/proxy;
  fastcgi_temp_path ${directory}/fastcgi;
  uwsgi_temp_path ${directory}/uwsgi;
  scgi_temp_path ${directory}/scgi;
  upstream application {
    server ${application};
    keepalive 256;
    keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://application;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }
  }
}
`;
}

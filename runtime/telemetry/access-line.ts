// Kept honest by `npm run bench:proxy` and `bench:http1`: each request of the data plane writes one line.
import type { AccessRecord } from "./access-log.ts";

/**
 * Makes the line of a record, the same JSON as the log would: a general serializer that looks into each field costs more
 * than passing a request on.
 */
export class AccessLine {
  #protocol = new Quoted();
  #method = new Quoted();
  #path = new Quoted();
  #authority = new Quoted();
  #route = new Quoted();
  #details = new Quoted();
  #upstream = new Quoted();
  #endpoint = new Quoted();
  #plugin = new Quoted();
  #peer = new Quoted();
  #userAgent = new Quoted();
  #timeMs = Number.NaN;
  #time = "";

  of(record: AccessRecord, nowMs: number): string {
    if (nowMs !== this.#timeMs) {
      this.#timeMs = nowMs;
      this.#time = new Date(nowMs).toISOString();
    }
    const { route, upstream, endpoint, plugin, userAgent, flags } = record;
    return (
      `{"level":30,"time":"${this.#time}","log":"access","durationMs":${Math.round(record.durationMs * 1000) / 1000}` +
      `,"protocol":${this.#protocol.of(record.protocol)},"method":${this.#method.of(record.method)}` +
      `,"path":${this.#path.of(record.path)},"authority":${this.#authority.of(record.authority)}` +
      (route === undefined ? "" : `,"route":${this.#route.of(route)}`) +
      `,"status":${record.status},"details":${this.#details.of(record.details)}` +
      `,"flags":${flags.length === 0 ? "[]" : JSON.stringify(flags)}` +
      `,"bytesReceived":${record.bytesReceived},"bytesSent":${record.bytesSent}` +
      (upstream === undefined ? "" : `,"upstream":${this.#upstream.of(upstream)}`) +
      (endpoint === undefined ? "" : `,"endpoint":${this.#endpoint.of(endpoint)}`) +
      (plugin === undefined ? "" : `,"plugin":${this.#plugin.of(plugin)}`) +
      `,"peer":${this.#peer.of(record.peer)},"requestId":${JSON.stringify(record.requestId)}` +
      (userAgent === undefined ? "" : `,"userAgent":${this.#userAgent.of(userAgent)}`) +
      ',"msg":"access"}\n'
    );
  }
}

/** A text as JSON; most fields of a request are what they were in the one before. */
class Quoted {
  #text = "";
  #json = '""';

  of(text: string): string {
    if (text !== this.#text) {
      this.#text = text;
      this.#json = JSON.stringify(text);
    }
    return this.#json;
  }
}

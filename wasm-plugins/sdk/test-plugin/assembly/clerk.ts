import {
  EventService, http, HttpRequest, HttpResponse, log, outcome, Request, Response, Tick, TopicEvent,
} from "@outrigger/plugin";

/** Does with each event what its text says, and logs what it was told. */
export class Clerk extends EventService {
  onEvent(event: TopicEvent): Response | null {
    const text = event.text();
    const kind = event.isRaw ? "raw" : "event";
    log.info(kind + " " + event.topic + " " + event.contentType + " " + this.request.headers.getOr(":path", "") + " " + text);
    if (text.startsWith("retry")) return outcome.retry();
    if (text.startsWith("drop")) return outcome.drop();
    if (text.startsWith("missing")) return Response.text(404, "no such thing");
    if (text.startsWith("fail")) return Response.text(500, "it does not work");
    if (text.startsWith("odd")) return Response.text(200, '{"status":"MAYBE"}');
    if (text.startsWith("plain")) return Response.text(202, "fine");
    if (text.startsWith("trap")) unreachable();
    if (text.startsWith("never")) return null;
    if (text.startsWith("later")) {
      http.call<Clerk>("backend", new HttpRequest("GET", "/"), this, (self: Clerk, _: HttpResponse) => self.answerLater());
      return null;
    }
    return outcome.success();
  }

  onTick(tick: Tick): Response | null {
    log.info("tick " + tick.schedule + " " + tick.time + " " + tick.text());
    return outcome.success();
  }

  onRequest(request: Request): Response | null {
    return Response.text(200, "a client asks for " + request.path);
  }

  private answerLater(): void {
    log.info("answered later");
    const answer = outcome.success();
    this.respond(answer.status, answer.headers, answer.body);
  }
}

// Lets a request pass when the upstream `people` knows its token, and tells the application whose it is.
import { Action, Filter, http, HttpRequest, HttpResponse, log, register } from "@outrigger/plugin";

const timeoutMs: u32 = 2000;

class Gatekeeper extends Filter {
  onRequestHeaders(endOfStream: bool): Action {
    this.request.headers.remove("x-user"); // what a client says it is, is not to be believed
    const token = this.request.headers.get("authorization");
    if (token === null) {
      this.respondText(401, "a token is needed\n", "no_token");
      return Action.Pause;
    }
    const patience = this.request.headers.has("x-hurry") ? 50 : timeoutMs;
    const question = new HttpRequest("POST", "/whoami").header("authorization", token).withText("who is this?");
    question.trailers.add("x-asked-by", "http-call");
    // There are no closures: the callback gets what it works on as its first argument.
    const sent = http.call<Gatekeeper>("people", question, this, (self, answer) => self.answered(answer), patience);
    if (!sent.ok) {
      log.error(sent.toString()); // there is no such upstream, or it is not granted
      this.respondText(503, "nobody can be asked\n", "not_asked");
    }
    return Action.Pause;
  }

  private answered(answer: HttpResponse): void {
    if (answer.status == 0) {
      this.respondText(504, "nobody answered\n", "no_answer"); // too late, or the connection broke
    } else if (!answer.ok) {
      this.respondText(403, "the token is not known\n", "unknown_token");
    } else {
      this.request.headers.set("x-user", answer.text());
      this.request.headers.set("x-user-since", answer.trailers.getOr("x-since", "?"));
      this.request.resume();
    }
  }
}

register<Gatekeeper>();

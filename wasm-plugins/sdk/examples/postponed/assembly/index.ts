// Reports each request to an upstream when it is over, and stays until that answered; so does the plugin when it is replaced.
import { FilterOf, http, HttpRequest, log, Plugin, property, register } from "@outrigger/plugin";

class Office extends Plugin {
  onDone(): bool {
    const sent = http.call<Office>("reports", new HttpRequest("POST", "/closing"), this, (self, answer) => {
      log.info("the office closes");
      self.finish();
    });
    return !sent.ok; // false: not yet, `finish` will tell
  }
}

class Reporter extends FilterOf<Office> {
  private reported: string = "no";

  onDone(): bool {
    const report = new HttpRequest("POST", "/reports").withText(property.textOr("request.path", "?"));
    const sent = http.call<Reporter>("reports", report, this, (self, answer) => {
      self.reported = answer.text();
      self.finish();
    });
    return !sent.ok;
  }

  /** Comes after `finish`. */
  onLog(): void {
    log.info("reported: " + this.reported);
  }
}

register<Reporter>();

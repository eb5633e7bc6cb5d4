// Refuses requests for which no expression of its configuration holds: `{"allow": ["request.method == 'GET'"]}`.
import { Action, decodeText, Expression, FilterOf, log, parseJson, Plugin, register } from "@outrigger/plugin";

class Rules extends Plugin {
  readonly allow: Expression[] = [];

  onConfigure(configuration: Uint8Array): bool {
    const settings = parseJson(decodeText(configuration));
    if (!settings.ok || !settings.value.get("allow").isList) {
      log.error("expressions: 'allow' must be a list of expressions");
      return false;
    }
    const texts = settings.value.get("allow");
    for (let i = 0; i < texts.length; i++) {
      const rule = Expression.create(texts.at(i).text);
      if (!rule.ok) {
        log.error("expressions: '" + texts.at(i).text + "': " + rule.toString());
        return false;
      }
      this.allow.push(rule.value);
    }
    return true;
  }
}

class Customs extends FilterOf<Rules> {
  onRequestHeaders(endOfStream: bool): Action {
    const rules = this.plugin.allow;
    for (let i = 0; i < rules.length; i++) {
      const holds = rules[i].boolean();
      // One that cannot be evaluated, for it asks for a header that is not there, does not hold.
      if (holds.ok && holds.value) return Action.Continue;
    }
    this.respondText(403, "no rule allows this\n", "not_allowed");
    return Action.Pause;
  }
}

register<Customs>();

/** Streams of Redis with consumer groups: their entries, and the scripts that keep a group. */
import { redisScript } from "./redis-script.ts";

export interface StreamEntry {
  readonly id: string;
  /** By name; a name that comes twice has its last value. */
  readonly fields: ReadonlyMap<string, Buffer>;
}

/** The owner of entries whose consumer has left; whoever looks first takes them. */
const nobody = "left";

/** The entries of a reply to XREADGROUP; `fields` is missing where the stream has lost the entry. */
export function entriesRead(reply: unknown): ReadonlyMap<string, StreamEntry | undefined> {
  const [stream]: unknown[] = Array.isArray(reply) ? reply : [];
  return entriesIn(Array.isArray(stream) ? stream[1] : []);
}

/** The entries of a list such as XRANGE gives. */
export function entriesIn(list: unknown): ReadonlyMap<string, StreamEntry | undefined> {
  const found = new Map<string, StreamEntry | undefined>();
  for (const item of Array.isArray(list) ? list : []) {
    if (!Array.isArray(item)) continue;
    const [id, content]: unknown[] = item;
    found.set(String(id), Array.isArray(content) ? { id: String(id), fields: fieldsOf(content) } : undefined);
  }
  return found;
}

function fieldsOf(content: readonly unknown[]): ReadonlyMap<string, Buffer> {
  const fields = new Map<string, Buffer>();
  for (let index = 0; index + 1 < content.length; index += 2) {
    const value = content[index + 1];
    if (Buffer.isBuffer(value)) fields.set(String(content[index]), value);
  }
  return fields;
}

const functions = `
  local function named(flat)
    local fields = {}
    for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
    return fields
  end

  local function is_before(one, other)
    local one_ms, one_count = string.match(one, '^(%d+)-?(%d*)$')
    local other_ms, other_count = string.match(other, '^(%d+)-?(%d*)$')
    if one_ms ~= other_ms then return tonumber(one_ms) < tonumber(other_ms) end
    return (tonumber(one_count) or 0) < (tonumber(other_count) or 0)
  end
`;

/**
 * Makes the group of ARGV[1], and the stream, where they are missing; it begins after the id of ARGV[2], or at the begin of a
 * stream that is younger than that. Makes the consumer of ARGV[3], too: before Redis 7.2 it would be there only once it has read
 * something. Answers with the last id that the group has had.
 */
export const joinGroup = redisScript(`
  ${functions}
  local start = ARGV[2]
  if start ~= '$' and start ~= '0' then
    local stream = redis.pcall('XINFO', 'STREAM', KEYS[1])
    if stream.err or is_before(named(stream)['last-generated-id'], start) then start = '0' end
  end
  local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], start, 'MKSTREAM')
  if made.err and string.sub(made.err, 1, 9) ~= 'BUSYGROUP' then return made end
  redis.pcall('XGROUP', 'CREATECONSUMER', KEYS[1], ARGV[1], ARGV[3])
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
    local fields = named(group)
    if fields.name == ARGV[1] then return { fields['last-delivered-id'] } end
  end
  return {}
`);

/**
 * What a consumer does from time to time. ARGV: group, consumer, milliseconds after which an entry counts as left, how many
 * such entries it takes at most, where to look for them, milliseconds after which a consumer with nothing is forgotten, '1' when
 * entries that all groups have acknowledged go; then the ids that the consumer is at work on, which count as fresh from now.
 * Answers with those of the ids that are no longer its own, where to look next ('0-0' at the end), and the entries it took.
 */
export const keepGroup = redisScript(`
  ${functions}
  local key, group, consumer = KEYS[1], ARGV[1], ARGV[2]
  -- One that had nothing to read for long may have been forgotten by the others.
  redis.pcall('XGROUP', 'CREATECONSUMER', key, group, consumer)
  local mine, lost = {}, {}
  for _, pending in ipairs(redis.call('XPENDING', key, group, '-', '+', 10000, consumer)) do
    mine[pending[1]] = true
  end
  for i = 8, #ARGV do
    if mine[ARGV[i]] then
      redis.call('XCLAIM', key, group, consumer, 0, ARGV[i], 'JUSTID')
    else
      lost[#lost + 1] = ARGV[i]
    end
  end

  local cursor, taken = ARGV[5], {}
  if tonumber(ARGV[4]) > 0 then
    local claimed = redis.call('XAUTOCLAIM', key, group, consumer, ARGV[3], cursor, 'COUNT', ARGV[4])
    cursor, taken = claimed[1], claimed[2]
  end

  for _, other in ipairs(redis.call('XINFO', 'CONSUMERS', key, group)) do
    local fields = named(other)
    if fields.name ~= consumer and fields.pending == 0 and fields.idle > tonumber(ARGV[6]) then
      redis.call('XGROUP', 'DELCONSUMER', key, group, fields.name)
    end
  end

  if ARGV[7] == '1' then
    local oldest
    for _, one in ipairs(redis.call('XINFO', 'GROUPS', key)) do
      local fields = named(one)
      local needed = fields['last-delivered-id']
      if fields.pending > 0 then needed = redis.call('XPENDING', key, fields.name)[2] end
      if oldest == nil or is_before(needed, oldest) then oldest = needed end
    end
    if oldest then redis.call('XTRIM', key, 'MINID', '~', oldest) end
  end
  return { lost, cursor, taken }
`);

/** Takes the consumer of ARGV[2] out of the group of ARGV[1]; what it has not acknowledged is free for the next at once. */
export const leaveGroup = redisScript(`
  local key, group, consumer = KEYS[1], ARGV[1], ARGV[2]
  local pending = redis.call('XPENDING', key, group, '-', '+', 10000, consumer)
  for _, one in ipairs(pending) do
    redis.call('XCLAIM', key, group, '${nobody}', 0, one[1], 'IDLE', 86400000, 'JUSTID')
  end
  if #redis.call('XPENDING', key, group, '-', '+', 1, consumer) == 0 then
    redis.call('XGROUP', 'DELCONSUMER', key, group, consumer)
  end
  return {}
`);

#include "tempest/builtin/redis_list_scripts.hpp"

namespace tempest::builtin::list_scripts {

// How suspicion grows: a message that was with a reader when that ended without a word is given out
// among fewer and fewer others, so that one that kills its reader is alone in the end. Only a death
// while it was alone is an attempt: the others with it may never have been begun.
const std::string_view kPrelude = R"(
redis.replicate_commands()
local key, me = KEYS[1], ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREM', key .. ':delayed', '')
local function bound(deaths)
  if deaths < 2 then return 0 end
  return ({64, 8})[deaths - 1] or 1
end
local function number(hash, id)
  return tonumber(redis.call('HGET', key .. hash, id) or 0) or 0
end
local function give_again(reader, id, score)
  redis.call('ZREM', key .. ':processing:' .. reader, id)
  redis.call('ZADD', key .. ':delayed', math.min(now, score / 1000), id)
end
local function take_back(reader)
  local ids = redis.call('ZRANGE', key .. ':processing:' .. reader, 0, 9999, 'WITHSCORES')
  for i = 1, #ids, 2 do
    local id = ids[i]
    give_again(reader, id, ids[i + 1])
    -- Earlier versions counted how often a message was given out; their ids are numbers.
    if #id < 32 then redis.call('HDEL', key .. ':attempts', id) end
    local deaths = redis.call('HINCRBY', key .. ':deaths', id, 1)
    if bound(deaths - 1) == 1 then redis.call('HINCRBY', key .. ':attempts', id, 1) end
  end
  return #ids / 2
end
)";

const std::string_view kTake = R"(
local count, bytes, prefix = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local keeps, most = ARGV[5] ~= '0', tonumber(ARGV[6])
local held = key .. ':processing:' .. me
local room = most - redis.call('ZCARD', held)
local taken = most - room
local rows = {}
local function give(id, payload, attempts, most_beside, before)
  if keeps then
    redis.call('ZADD', held, now * 1000 + #rows, id)
  else
    redis.call('HDEL', key .. ':payloads', id)
    redis.call('HDEL', key .. ':attempts', id)
    redis.call('HDEL', key .. ':deaths', id)
  end
  rows[#rows + 1] = {id, payload, attempts, most_beside, before}
  bytes = bytes - #payload
end
local function is_full() return #rows >= count or bytes <= 0 or taken + #rows >= most end
local due = redis.call('ZRANGEBYSCORE', key .. ':delayed', '-inf', now, 'LIMIT', 0, count)
for _, id in ipairs(due) do
  if is_full() then break end
  local payload = redis.call('HGET', key .. ':payloads', id)
  if not payload then
    redis.call('ZREM', key .. ':delayed', id)
  else
    local most_beside = bound(number(':deaths', id))
    -- It goes first, once there are few enough others.
    if most_beside > 0 then most = math.min(most, most_beside) end
    if is_full() then return rows end
    redis.call('ZREM', key .. ':delayed', id)
    give(id, payload, number(':attempts', id), most_beside, 1)
  end
end
while not is_full() do
  local payload = redis.call('LPOP', key)
  if not payload then break end
  local id = prefix .. string.format('%08x', #rows)
  if keeps then redis.call('HSET', key .. ':payloads', id, payload) end
  give(id, payload, 0, 0, 0)
end
return rows
)";

const std::string_view kOwn = R"(
return redis.call('ZRANGE', key .. ':processing:' .. me, 0, 999999)
)";

const std::string_view kTakeOwn = R"(
local held, bytes, rows = key .. ':processing:' .. me, tonumber(ARGV[2]), {}
for i = 3, #ARGV do
  if bytes <= 0 then break end
  local id = ARGV[i]
  local payload = redis.call('ZSCORE', held, id) and redis.call('HGET', key .. ':payloads', id)
  if payload then
    bytes = bytes - #payload
    rows[#rows + 1] = {id, payload, number(':attempts', id), bound(number(':deaths', id)), 1}
  else
    redis.call('ZREM', held, id)
    rows[#rows + 1] = {id, false, 0, 0, 1}
  end
end
return rows
)";

const std::string_view kTakeBackOwn = "return take_back(me)";

const std::string_view kLeave = R"(
for i = 3, #ARGV do
  if redis.call('ZREM', key .. ':processing:' .. me, ARGV[i]) == 1 then
    redis.call('ZADD', key .. ':delayed', now + ARGV[2], ARGV[i])
    redis.call('HINCRBY', key .. ':attempts', ARGV[i], 1)
    redis.call('HDEL', key .. ':deaths', ARGV[i])
  end
end
)";

const std::string_view kGiveBack = R"(
for i = 2, #ARGV do
  local score = redis.call('ZSCORE', key .. ':processing:' .. me, ARGV[i])
  if score then give_again(me, ARGV[i], score) end
end
)";

const std::string_view kTend = R"(
local removed, taken, mended = 0, 0, 0
redis.call('SADD', key .. ':readers', me)
redis.call('SET', key .. ':lease:' .. me, string.format('%.0f', now) .. ' ' .. ARGV[2], 'PX', ARGV[2])
local readers = redis.call('SMEMBERS', key .. ':readers')
table.sort(readers)
for _, reader in ipairs(readers) do
  local lease = key .. ':lease:' .. reader
  local left = redis.call('PTTL', lease)
  if left == -2 then
    taken = taken + take_back(reader)
    if redis.call('EXISTS', key .. ':processing:' .. reader) == 0 then
      redis.call('SREM', key .. ':readers', reader)
      removed = removed + 1
    end
  elseif reader ~= me then
    local longest = tonumber(string.match(redis.call('GET', lease) or '', ' (%d+)$') or ARGV[2])
    if left > longest then
      redis.call('PEXPIRE', lease, longest)
      mended = mended + 1
    end
  end
end
local latest = now + tonumber(ARGV[3])
local late = redis.call('ZRANGEBYSCORE', key .. ':delayed', '(' .. string.format('%.0f', latest),
                        '+inf', 'LIMIT', 0, 1000)
for _, id in ipairs(late) do redis.call('ZADD', key .. ':delayed', latest, id) end
return {removed, taken, mended + #late}
)";

const std::string_view kForget = R"(
for i = 2, #ARGV do
  redis.call('ZREM', key .. ':processing:' .. me, ARGV[i])
  redis.call('ZREM', key .. ':delayed', ARGV[i])
  redis.call('HDEL', key .. ':payloads', ARGV[i])
  redis.call('HDEL', key .. ':attempts', ARGV[i])
  redis.call('HDEL', key .. ':deaths', ARGV[i])
end
)";

const std::string_view kLeft = R"(
local others = 0
for _, reader in ipairs(redis.call('SMEMBERS', key .. ':readers')) do
  if reader ~= me then others = others + redis.call('ZCARD', key .. ':processing:' .. reader) end
end
return {redis.call('LLEN', key), others, redis.call('ZRANGE', key .. ':delayed', 0, 999999)}
)";

}  // namespace tempest::builtin::list_scripts

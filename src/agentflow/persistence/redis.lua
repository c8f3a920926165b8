-- The verbs of RedisPersister: each call is one operation, all or nothing.
-- KEYS: the application, its steps, its snapshots, the index, the large values, how many rows point to each of them;
-- then the lists of children and forks that the application is in. ARGV[1] is the operation.
local app, steps, snapshots, index, blobs, uses = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local operation = ARGV[1]
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local stamp = string.format('%.6f', now)

local function held(epoch, head)
  local found = redis.call('HMGET', app, 'epoch', 'head')
  return found[1] == epoch and (head == '' or found[2] == head)
end

-- From position `at` on: a count, then so many pairs; gives the position after them.
local function pairs_into(at, put)
  local count = tonumber(ARGV[at])
  for position = at + 1, at + 2 * count, 2 do
    put(ARGV[position], ARGV[position + 1])
  end
  return at + 1 + 2 * count
end

-- A row is `D` or, with a snapshot, `S`; the hashes of its large values; `|`; the rest.
local function count_uses(row, step)
  for digest in string.gmatch(string.match(row, '^.([^|]*)'), '%S+') do
    if redis.call('HINCRBY', uses, digest, step) <= 0 then
      redis.call('HDEL', uses, digest)
      redis.call('HDEL', blobs, digest)
    end
  end
end

local function drop_row(number)
  local before = redis.call('HGET', steps, number)
  if before then
    count_uses(string.match(before, '|(.*)'), -1)
    redis.call('HDEL', steps, number)
    redis.call('ZREM', snapshots, number)
  end
end

local function add_rows(at)
  return pairs_into(at, function(number, row)
    redis.call('HSET', steps, number, stamp .. '|' .. row)
    count_uses(row, 1)
    if string.sub(row, 1, 1) == 'S' then
      redis.call('ZADD', snapshots, number, number)
    end
  end)
end

local function add_blobs(at)
  return pairs_into(at, function(digest, body)
    if redis.call('HEXISTS', uses, digest) == 1 then
      redis.call('HSETNX', blobs, digest, body)
    end
  end)
end

-- Whether a fork of the application begins before that step, with no snapshot of its own. Which forks there are is
-- known here only, so their keys are not among KEYS; they bear the same hash tag.
local function leans(member, before)
  local tag = string.sub(app, 1, #app - #member - #'app:')
  for _, fork in ipairs(redis.call('SMEMBERS', tag .. 'forked:' .. member)) do
    local first = redis.call('HGET', tag .. 'app:' .. fork, 'first')
    local row = first and redis.call('HGET', tag .. 'steps:' .. fork, first)
    if row and not string.find(row, '^[^|]*|S') and (not before or tonumber(first) < before) then
      return true
    end
  end
  return false
end

local function seen()
  return {redis.call('HGETALL', app), stamp}
end

if operation == 'head' then
  return seen()

elseif operation == 'bear' then
  -- member, owner, seconds, head, the step it is forked from or '', then fields, rows and blobs as pairs; of a fork
  -- the last of KEYS is the steps of the other
  if redis.call('EXISTS', app) == 1 then
    return 0
  end
  local lists = #KEYS
  if ARGV[6] ~= '' then
    if redis.call('HEXISTS', KEYS[lists], ARGV[6]) == 0 then
      return -1
    end
    lists = lists - 1
  end
  redis.call('HSET', app, 'head', ARGV[5], 'first', ARGV[5], 'epoch', '1', 'attempt', '1', 'owner', ARGV[3],
    'held_until', string.format('%.6f', now + tonumber(ARGV[4])), 'created_at', stamp, 'updated_at', stamp)
  local at = pairs_into(7, function(field, value)
    redis.call('HSET', app, field, value)
  end)
  add_blobs(add_rows(at))
  redis.call('ZADD', index, 0, ARGV[2])
  for at = 7, lists do
    redis.call('SADD', KEYS[at], ARGV[2])
  end
  return seen()

elseif operation == 'take' then
  -- the epoch and head that were seen, owner, seconds
  if not held(ARGV[2], ARGV[3]) then
    return 0
  end
  if redis.call('HGET', app, 'owner') ~= '' then
    redis.call('HINCRBY', app, 'attempt', 1)
  end
  redis.call('HSET', app, 'owner', ARGV[4], 'held_until', string.format('%.6f', now + tonumber(ARGV[5])))
  redis.call('HINCRBY', app, 'epoch', 1)
  return seen()

elseif operation == 'renew' then
  if not held(ARGV[2], '') or redis.call('HGET', app, 'owner') == '' then
    return 0
  end
  redis.call('HSET', app, 'held_until', string.format('%.6f', now + tonumber(ARGV[3])))
  return 1

elseif operation == 'release' then
  if held(ARGV[2], '') then
    redis.call('HSET', app, 'owner', '', 'held_until', '0')
    if ARGV[3] == '1' then
      redis.call('HSET', app, 'position', ARGV[4], 'status', ARGV[5])
    end
  end
  return 1

elseif operation == 'commit' then
  -- epoch, the head before, the head after, position, status, whether it is the last, then rows and blobs as pairs
  if not held(ARGV[2], ARGV[3]) then
    return 0
  end
  add_blobs(add_rows(8))
  redis.call('HSET', app, 'head', ARGV[4], 'position', ARGV[5], 'status', ARGV[6], 'attempt', '1', 'updated_at', stamp)
  if ARGV[7] == '1' then
    redis.call('HSET', app, 'owner', '', 'held_until', '0')
  end
  return 1

elseif operation == 'note' then
  -- epoch, head, position, status, whether it failed
  if not held(ARGV[2], ARGV[3]) then
    return 0
  end
  redis.call('HSET', app, 'position', ARGV[4], 'status', ARGV[5], 'updated_at', stamp)
  redis.call('HINCRBY', app, 'attempt', tonumber(ARGV[6]))
  return 1

elseif operation == 'rows' then
  -- from, to ('' for the head), limit; 'snapshot' as from means the last snapshot at or before `to`
  local ends = redis.call('HMGET', app, 'first', 'head')
  if not ends[1] then
    return {}
  end
  local from, to = ARGV[2], tonumber(ARGV[3]) or tonumber(ends[2])
  to = math.min(to, tonumber(ends[2]))
  if from == 'snapshot' then
    from = redis.call('ZREVRANGEBYSCORE', snapshots, to, '-inf', 'LIMIT', 0, 1)[1] or ends[1]
  end
  from = math.max(tonumber(from), tonumber(ends[1]))
  to = math.min(to, from + tonumber(ARGV[4]) - 1)
  local found = {}
  for number = from, to do
    local row = redis.call('HGET', steps, tostring(number))
    if row then
      found[#found + 1] = tostring(number)
      found[#found + 1] = row
    end
  end
  return found

elseif operation == 'replace' then
  -- number, row, then blobs as pairs
  local before = redis.call('HGET', steps, ARGV[2])
  if before then
    local created, old = string.match(before, '^([^|]*)|(.*)')
    redis.call('HSET', steps, ARGV[2], created .. '|' .. ARGV[3])
    redis.call('ZADD', snapshots, ARGV[2], ARGV[2])
    count_uses(ARGV[3], 1)
    add_blobs(4)
    count_uses(old, -1)
  end
  return 1

elseif operation == 'trim' then
  -- the first number to keep; '' deletes the application, whose place in the lists is ARGV[3]
  if leans(ARGV[3], tonumber(ARGV[2])) then
    return 0
  end
  local ends = redis.call('HMGET', app, 'first', 'head')
  if ends[1] then
    local head = tonumber(ends[2])
    local keep = math.min(tonumber(ARGV[2]) or head + 1, head + 1)
    for number = tonumber(ends[1]), keep - 1 do
      drop_row(tostring(number))
    end
    redis.call('HSET', app, 'first', math.max(keep, tonumber(ends[1])))
  end
  if ARGV[2] == '' then
    redis.call('DEL', app, steps, snapshots)
    redis.call('ZREM', index, ARGV[3])
    for at = 7, #KEYS do
      redis.call('SREM', KEYS[at], ARGV[3])
    end
  end
  return 1
end

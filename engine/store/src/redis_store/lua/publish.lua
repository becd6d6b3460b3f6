#!lua
-- Notes owners, each unless a later one is known.
--
-- KEYS  1 state, 2 owners
-- ARGV  1 where versions begin if there was none, then of each shard its number, rank and owner. A rank is 21 digits: epoch, and 1 if it
--       was given back; so the order of the texts is the order of the ranks.
local changed = false
for at = 2, #ARGV, 3 do
  local known = redis.call('HGET', KEYS[2], ARGV[at])
  if not known or string.sub(known, 1, 21) < ARGV[at + 1] then
    redis.call('HSET', KEYS[2], ARGV[at], ARGV[at + 1] .. ':' .. ARGV[at + 2])
    changed = true
  end
end
if changed then
  redis.call('HSETNX', KEYS[1], 'version', ARGV[1])
  redis.call('HINCRBY', KEYS[1], 'version', 1)
end
return 1

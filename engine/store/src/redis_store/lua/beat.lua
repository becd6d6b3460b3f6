#!lua
-- Counts a member's beat, and answers with the picture; with nothing when it is none.
--
-- KEYS  1 state, 2 beats, 3 cards, 4 owners
-- ARGV  1 the version of the owners that is known, 2 member, 3 card
if redis.call('HEXISTS', KEYS[2], ARGV[2]) == 0 then
  return false
end
redis.call('HINCRBY', KEYS[2], ARGV[2], 1)
redis.call('HSET', KEYS[3], ARGV[2], ARGV[3])
local state = redis.call('HMGET', KEYS[1], 'version', 'identity')
local version = state[1] or '0'
local owners = false
if version ~= ARGV[1] then
  owners = redis.call('HGETALL', KEYS[4])
end
return {redis.call('HGETALL', KEYS[2]), redis.call('HGETALL', KEYS[3]), version, owners, state[2] or '0'}

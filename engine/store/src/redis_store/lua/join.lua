#!lua
-- Gives a higher number than all before, or makes the one who has it a member.
--
-- KEYS  1 state, 2 beats, 3 cards
-- ARGV  1 where to begin if nobody has ever joined, 2 by how much it is higher; or 1 '', 2 the number, 3 the card
if ARGV[1] ~= '' then
  redis.call('HSETNX', KEYS[1], 'nodes', ARGV[1])
  return redis.call('HINCRBY', KEYS[1], 'nodes', ARGV[2])
end
redis.call('HSET', KEYS[2], ARGV[2], 0)
redis.call('HSET', KEYS[3], ARGV[2], ARGV[3])
return 1

#!lua flags=no-writes
-- The picture.
--
-- KEYS  1 state, 2 beats, 3 cards, 4 owners
local state = redis.call('HMGET', KEYS[1], 'version', 'identity')
return {
  redis.call('HGETALL', KEYS[2]), redis.call('HGETALL', KEYS[3]), state[1] or '0', redis.call('HGETALL', KEYS[4]), state[2] or '0',
}

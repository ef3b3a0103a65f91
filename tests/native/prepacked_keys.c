#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif

#include "prepacked_keys.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
  MOST_KEYS = 64,
  MOST_PLACES = 256,
  MOST_BUFFERS = 4, /* of one weight */
  NODE_BYTES = 256, /* the hash lies after the map's value, which has no fixed size */
  DIGITS = 20,      /* of the largest digest */
  OPERATOR = 64,    /* the longest name of an operator */
  FREED = 0x5A      /* what malloc overwrites freed memory with, see main() */
};

static const size_t HASH_SEED = 0xC70F6907; /* of std::hash<std::string> */

/* Where a key's text lies, and the texts of all children, which have the same length. */
typedef struct key {
  size_t text, length;
  char texts[MOST_CHILDREN][OPERATOR + DIGITS + 2];
  size_t hashes[MOST_CHILDREN];
} key;

static key keys[MOST_KEYS];
static size_t key_count;
static size_t words[MOST_PLACES], word_count; /* addresses of lengths and hashes */
static size_t nodes[MOST_PLACES], node_count; /* and what may be pointed to like one */

static void fail(const char *text) {
  fprintf(stderr, "prepacked_keys: %s\n", text);
  exit(1);
}

static void append(size_t *list, size_t *count, size_t value) {
  if (*count == MOST_PLACES)
    fail("too many places");
  list[(*count)++] = value;
}

void read_memory(const children *all, int which, size_t address, void *bytes, size_t size) {
  size_t done, piece;
  for (done = 0; done < size; done += piece) {
    piece = PAGE - (address + done) % PAGE;
    piece = piece < size - done ? piece : size - done;
    if (pread(all->memories[which], (char *)bytes + done, piece, (off_t)(address + done)) !=
        (ssize_t)piece)
      memset((char *)bytes + done, 0, piece);
  }
}

static size_t read_word(const children *all, int which, size_t address) {
  size_t word;
  read_memory(all, which, address, &word, sizeof word);
  return word;
}

/* --- MurmurHash3, 128 bits for 32-bit machines --- */

static const uint32_t MULTIPLIERS[4] = {0x239B961B, 0xAB0E9789, 0x38B34AE5, 0xA1E38B93};

static uint32_t rotate(uint32_t word, int bits) { return word << bits | word >> (32 - bits); }

static uint32_t scramble(uint32_t word, int lane) {
  static const int turns[4] = {15, 16, 17, 18};
  return rotate(word * MULTIPLIERS[lane], turns[lane]) * MULTIPLIERS[(lane + 1) % 4];
}

static uint32_t finish(uint32_t word) {
  word = (word ^ word >> 16) * 0x85EBCA6B;
  word = (word ^ word >> 13) * 0xC2B2AE35;
  return word ^ word >> 16;
}

static void sum_up(uint32_t state[4]) {
  int lane;
  for (lane = 1; lane < 4; lane++)
    state[0] += state[lane];
  for (lane = 1; lane < 4; lane++)
    state[lane] += state[0];
}

static void murmur(const unsigned char *bytes, size_t size, uint32_t state[4]) {
  static const int turns[4] = {19, 17, 15, 13};
  static const uint32_t terms[4] = {0x561CCD1B, 0x0BCAA747, 0x96CD1C35, 0x32AC3B17};
  uint32_t last[4] = {0, 0, 0, 0}, word;
  size_t at;
  int lane;
  for (lane = 1; lane < 4; lane++)
    state[lane] = state[0];
  for (at = 0; at + 16 <= size; at += 16)
    for (lane = 0; lane < 4; lane++) {
      memcpy(&word, bytes + at + 4 * (size_t)lane, sizeof word);
      state[lane] ^= scramble(word, lane);
      state[lane] = rotate(state[lane], turns[lane]) + state[(lane + 1) % 4];
      state[lane] = state[lane] * 5 + terms[lane];
    }
  memcpy(last, bytes + at, size - at);
  for (lane = 0; lane < 4; lane++)
    state[lane] ^= scramble(last[lane], lane) ^ (uint32_t)size;
  sum_up(state);
  for (lane = 0; lane < 4; lane++)
    state[lane] = finish(state[lane]);
  sum_up(state);
}

/* --- finding keys --- */

/* Write the digits of the digest of each child's buffers. */
static void make_digits(const children *all, const region *blocks, size_t count,
                        char digits[MOST_CHILDREN][DIGITS + 1]) {
  uint32_t state[4];
  size_t index;
  unsigned char *bytes;
  int which;
  for (which = 0; which < all->count; which++) {
    memset(state, 0, sizeof state);
    for (index = 0; index < count; index++) {
      bytes = malloc(blocks[index].size);
      if (bytes == NULL)
        fail("no memory");
      read_memory(all, which, blocks[index].start, bytes, blocks[index].size);
      murmur(bytes, blocks[index].size, state);
      free(bytes);
    }
    snprintf(digits[which], DIGITS + 1, "%llu",
             (unsigned long long)state[1] << 32 | (state[0] & ~(uint32_t)7));
  }
}

static bool is_of_name(char letter) {
  return (letter >= 'A' && letter <= 'Z') || (letter >= 'a' && letter <= 'z') ||
         (letter >= '0' && letter <= '9') || letter == '_';
}

/* The length of the name that ends before `end`. */
static size_t name_length(const char *start, const char *end) {
  size_t length = 0;
  while (length < OPERATOR && end - length > start && is_of_name(end[-1 - (ptrdiff_t)length]))
    length++;
  return length;
}

/* std::hash<std::string>. */
static size_t hash_text(const char *text, size_t length) {
  static size_t (*hash)(const void *, size_t, size_t);
  void *library, *symbol;
  if (hash == NULL) {
    library = dlopen("libstdc++.so.6", RTLD_NOW);
    symbol = library == NULL ? NULL : dlsym(library, "_ZSt11_Hash_bytesPKvmm");
    if (symbol == NULL)
      fail("libstdc++ has no std::_Hash_bytes");
    memcpy(&hash, &symbol, sizeof symbol);
  }
  return hash(text, length, HASH_SEED);
}

/* Note a key, if in each child a text of these digits lies at its place. */
static void note_key(const children *all, size_t text, size_t name,
                     char digits[MOST_CHILDREN][DIGITS + 1]) {
  key found = {.text = text, .length = name + 1 + strlen(digits[0])};
  int which;
  for (which = 0; which < all->count; which++) {
    read_memory(all, which, text, found.texts[which], found.length + 1);
    if (found.texts[which][found.length] != '\0' ||
        strcmp(found.texts[which] + name + 1, digits[which]) != 0)
      return;
    found.hashes[which] = hash_text(found.texts[which], found.length);
  }
  if (key_count == MOST_KEYS)
    fail("too many keys");
  keys[key_count++] = found;
}

static bool is_even(const children *all, char digits[MOST_CHILDREN][DIGITS + 1]) {
  int which;
  for (which = 0; which < all->count; which++)
    if (strlen(digits[which]) != strlen(digits[0]))
      return false;
  return true;
}

/* Note all keys of these digits in a range, whose bytes in the first child are given. False if
 * keys have other lengths in other children. */
static bool note_keys(const children *all, const region *range, const char *bytes,
                      char digits[MOST_CHILDREN][DIGITS + 1]) {
  const char *end = bytes + range->size, *at = bytes;
  size_t length = strlen(digits[0]), name;
  for (; (at = memmem(at, (size_t)(end - at), digits[0], length)) != NULL; at += length) {
    name = at > bytes && at[-1] == '+' ? name_length(bytes, at - 1) : 0;
    if (name == 0)
      continue;
    if (!is_even(all, digits))
      return false;
    note_key(all, range->start + (size_t)(at - bytes) - 1 - name, name, digits);
  }
  return true;
}

static bool all_words(const children *all, size_t address, const size_t *expected) {
  int which;
  for (which = 0; which < all->count; which++)
    if (read_word(all, which, address) != expected[which])
      return false;
  return true;
}

/* Note the node of a key, if the word at an address is its pointer to the key's text: the next
 * node, then the text's address, length and capacity, then the value, then the hash. */
static void note_node(const children *all, const key *of, size_t address) {
  size_t texts[MOST_CHILDREN], lengths[MOST_CHILDREN], at;
  int which;
  for (which = 0; which < all->count; which++) {
    texts[which] = of->text;
    lengths[which] = of->length;
  }
  if (!all_words(all, address, texts) || !all_words(all, address + 8, lengths) ||
      !all_words(all, address + 16, lengths))
    return;
  for (at = address + 24; at < address + NODE_BYTES; at += 8)
    if (all_words(all, at, of->hashes)) {
      append(words, &word_count, address + 8);
      append(words, &word_count, address + 16);
      append(words, &word_count, at);
      append(nodes, &node_count, address - 8);
      return;
    }
}

static bool is_node(size_t address, size_t count) {
  size_t index;
  for (index = 0; index < count; index++)
    if (nodes[index] == address)
      return true;
  return false;
}

/* Note the nodes of all keys in a range. */
static void note_nodes(const children *all, const region *range, const size_t *content) {
  size_t index, each;
  for (index = 0; index < range->size / sizeof *content; index++)
    for (each = 0; each < key_count; each++)
      if (content[index] == keys[each].text)
        note_node(all, keys + each, range->start + index * sizeof *content);
}

/* Note the map's own pointers to the first node: a map points to them as it does to nodes. */
static void note_heads(const region *range, const size_t *content, size_t count) {
  size_t index;
  for (index = 0; index < range->size / sizeof *content; index++)
    if (is_node(content[index], count))
      append(nodes, &node_count, range->start + index * sizeof *content);
}

/* The first child's bytes of a region. */
static void *read_region(const children *all, const region *range) {
  void *bytes = malloc(range->size);
  if (bytes == NULL)
    fail("no memory");
  read_memory(all, 0, range->start, bytes, range->size);
  return bytes;
}

static bool find_texts(const children *all, const region *blocks, size_t block_count,
                       const region *regions, size_t region_count, void **contents) {
  char digits[MOST_CHILDREN][DIGITS + 1];
  size_t first, count, index;
  for (first = 0; first < block_count; first++)
    for (count = 1; count <= MOST_BUFFERS && first + count <= block_count; count++) {
      make_digits(all, blocks + first, count, digits);
      for (index = 0; index < region_count; index++)
        if (!note_keys(all, regions + index, contents[index], digits))
          return false;
    }
  return true;
}

bool find_keys(const children *all, const region *blocks, size_t block_count, const region *regions,
               size_t region_count) {
  size_t index, found;
  bool is_found;
  void **contents = calloc(region_count, sizeof *contents);
  if (contents == NULL)
    fail("no memory");
  for (index = 0; index < region_count; index++)
    contents[index] = read_region(all, regions + index);
  is_found = find_texts(all, blocks, block_count, regions, region_count, contents);
  for (index = 0; index < region_count; index++)
    note_nodes(all, regions + index, contents[index]);
  found = node_count;
  for (index = 0; index < region_count; index++) {
    note_heads(regions + index, contents[index], found);
    free(contents[index]);
  }
  free(contents);
  return is_found;
}

/* --- explaining bytes --- */

/* Whether a word holds, in each child, the end of its text from one offset on: malloc does not
 * overwrite the last word of what is freed. */
static bool is_end_of_text(const children *all, const key *of, size_t offset, size_t word) {
  char bytes[sizeof word];
  size_t size = of->length + 1 - offset;
  int which;
  for (which = 0; which < all->count; which++) {
    read_memory(all, which, word, bytes, sizeof bytes);
    if (memcmp(bytes, of->texts[which] + offset, size < sizeof bytes ? size : sizeof bytes) != 0)
      return false;
  }
  return true;
}

static bool is_of_text(const children *all, const key *of, size_t address, size_t word) {
  size_t offset;
  if (address >= of->text && address - of->text < of->length)
    return true;
  for (offset = 0; offset < of->length; offset++)
    if (is_end_of_text(all, of, offset, word))
      return true;
  return false;
}

bool belongs_to_key(const children *all, size_t address) {
  size_t index, word = address / sizeof(size_t) * sizeof(size_t), value;
  int which;
  for (index = 0; index < key_count; index++)
    if (is_of_text(all, keys + index, address, word))
      return true;
  for (index = 0; index < word_count; index++)
    if (words[index] == word)
      return true;
  for (which = 0; which < all->count; which++) {
    value = read_word(all, which, word);
    if (value != 0 && !is_node(value, node_count))
      return false;
  }
  return true;
}

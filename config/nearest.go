package config

import "strings"

// nearest finds the name that somebody most likely meant, or "" when none is close: a far-fetched proposal is worse
// than none. One edit in three letters is the limit.
func nearest(word string, names []string) string {
	const longest = 64 // the distance takes time in the product of the lengths; nobody mistypes a word this long
	if len(word) > longest {
		return ""
	}
	best, bestDistance := "", max(1, len(word)/3)+1
	for _, name := range names {
		if distance := editDistance(strings.ToLower(word), strings.ToLower(name)); distance < bestDistance {
			best, bestDistance = name, distance
		}
	}
	return best
}

// didYouMean is nearest as the end of a sentence.
func didYouMean(word string, names []string) string {
	if name := nearest(word, names); name != "" {
		return "; did you mean " + name + "?"
	}
	return ""
}

// editDistance counts insertions, deletions, replacements and swaps of neighbours (optimal string alignment): swapped
// letters are the commonest slip, and plain Levenshtein would charge two for one.
func editDistance(a, b string) int {
	before, previous, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replace := previous[j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			row[j] = min(previous[j]+1, row[j-1]+1, replace)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, previous, row = previous, row, before
	}
	return previous[len(b)]
}

// DidYouMean proposes the name that somebody most likely meant, as a sentence; "" when none is close.
func DidYouMean(word string, names []string) string {
	return strings.TrimPrefix(didYouMean(word, names), "; ")
}

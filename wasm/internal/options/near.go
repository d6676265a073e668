package options

import "strings"

const (
	mostNear     = 3
	mostMistakes = 2
)

// nearest are the names that value may mean: those it begins, or else those it is a slip or two
// away from. Signs and case do not count.
func nearest(value string, names []string) []string {
	var begun, alike []string
	value = bare(value)
	for _, name := range names {
		switch other := bare(name); {
		case value != "" && strings.HasPrefix(other, value):
			begun = append(begun, name)
		case mistakes(value, other) <= min(mostMistakes, len(other)/2):
			alike = append(alike, name)
		}
	}
	if len(begun) > 0 {
		alike = begun
	}
	return alike[:min(len(alike), mostNear)]
}

func bare(name string) string {
	return strings.NewReplacer("-", "", "_", "", ".", "", " ", "").Replace(strings.ToLower(name))
}

// mistakes is how many letters have to be changed, added or left out to make one of the other.
func mistakes(one, other string) int {
	row := make([]int, len(other)+1)
	for index := range row {
		row[index] = index
	}
	for i := range len(one) {
		before := row[0]
		row[0] = i + 1
		for j := range len(other) {
			changed := before
			if one[i] != other[j] {
				changed++
			}
			before = row[j+1]
			row[j+1] = min(changed, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(other)]
}
